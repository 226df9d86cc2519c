//! What arrives there: each change once, in the level's order, and nothing that came from there.

use crate::world::{World, message};

#[tokio::test]
async fn changes_arrive_once_however_often_and_late_their_messages_come() {
    let mut world = World::new().await;
    world.change("A", 10).await;
    assert!(world.push(&["A"]).await);
    assert_eq!(world.central.quantity("A"), 10);
    world.change("A", -3).await;
    world.change("A", -2).await;
    world.change("B", 4).await;
    let bodies = [message(&["B"], false), message(&["A", "B"], false), message(&["A"], false)];
    for _ in 0..3 {
        assert_eq!(world.work(&bodies).await, 0);
    }
    assert_eq!((world.central.quantity("A"), world.central.quantity("B")), (5, 4));
    let books = world.central.books();
    let told: Vec<_> =
        books.updates.iter().map(|update| (update["productId"].as_str(), update["delta"].as_i64())).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(books.levels["A"].1, 3, "one version a change");
}

#[tokio::test]
async fn levels_of_a_place_go_in_one_call() {
    let mut world = World::new().await;
    let skus: Vec<String> = (0..60).map(|n| format!("SKU-{n}")).collect();
    let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
    for sku in &skus {
        world.change(sku, 1).await;
    }
    assert!(world.push(&skus).await);
    assert_eq!(world.central.requests(), 61, "each is asked for once, at the beginning");
    for sku in &skus {
        world.change(sku, 1).await;
    }
    assert!(world.push(&skus).await);
    assert_eq!(world.central.requests(), 62);
    assert!(skus.iter().all(|sku| world.central.quantity(sku) == 2));
}

#[tokio::test]
async fn what_came_from_there_is_never_sent_back() {
    let mut world = World::new().await;
    world.change("A", 10).await;
    assert!(world.push(&["A"]).await);
    let requests = world.central.requests();
    for _ in 0..20 {
        world.told("A", -1).await;
        world.told("A", 1).await;
    }
    world.told("A", -4).await;
    assert!(world.push(&["A"]).await);
    assert_eq!(world.central.requests(), requests);
    // Its version is another one now, and its quantity is what it told us: no conflict.
    world.change("A", -1).await;
    assert!(world.push(&["A"]).await);
    assert_eq!((world.central.quantity("A"), world.ours("A").await), (5, 5));
    assert!(world.conflicts().await.is_empty() && world.waiting().is_empty());
}

#[tokio::test]
async fn long_history_is_caught_up_with_change_by_change() {
    let mut world = World::new().await;
    world.change("A", 100).await;
    assert!(world.push(&["A"]).await);
    for _ in 0..50 {
        world.change("A", -1).await;
    }
    assert!(world.push(&["A"]).await);
    assert_eq!(world.central.quantity("A"), 50);
    assert_eq!(world.central.books().levels["A"].1, 51);
}

#[tokio::test]
async fn level_that_is_there_already_is_taken_as_it_is() {
    let mut world = World::new().await;
    world.central.changes("A", 10);
    world.change("A", 10).await;
    assert!(world.push(&["A"]).await);
    assert!(world.central.books().updates.is_empty());
    world.change("A", -1).await;
    assert!(world.push(&["A"]).await);
    assert_eq!(world.central.quantity("A"), 9);
}

#[tokio::test]
async fn other_organizations_and_unreadable_messages_go_to_the_dead_letters() {
    let mut world = World::new().await;
    let other = message(&["A"], false).replace("demo", "other");
    assert_eq!(world.work(&[other, "{".to_owned()]).await, 2);
    assert_eq!(world.central.requests(), 0);
}
