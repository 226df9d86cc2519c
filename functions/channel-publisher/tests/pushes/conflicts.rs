//! When the central system holds something else than it should.

use evenstock_app::{ConflictChoice, PushJob, QueueName, ResolveResult};
use evenstock_domain::{Contradiction, Quantity};
use rstest::rstest;

use crate::world::World;

/// Ten each of `A` and `B` on both sides; then `A` loses four there without a word, and two here. The conflict's id.
async fn disputed(world: &mut World) -> String {
    world.change("A", 10).await;
    world.change("B", 10).await;
    assert!(world.push(&["A", "B"]).await);
    world.central.changes("A", -4);
    world.change("A", -2).await;
    world.change("B", -1).await;
    assert!(world.push(&["A", "B"]).await);
    assert_eq!(world.central.quantity("B"), 9, "only the one that differs waits");
    assert!(world.conflicts().await.is_empty(), "what it tells us may be on its way");
    let waiting = world.waiting();
    let (job, levels) = PushJob::from_json(&waiting[0]).unwrap();
    assert_eq!((waiting.len(), levels.len(), levels[0].sku.as_str(), job.again), (1, 1, "A", true));
    assert_eq!(world.pushes.queue.delays(QueueName::StockPushes), [30]);
    for _ in 0..2 {
        assert_eq!(world.work(&waiting).await, 0);
    }
    let conflicts = world.conflicts().await;
    assert_eq!(conflicts.len(), 1);
    let conflict = &conflicts[0];
    assert_eq!(conflict.contradiction, Contradiction::CentralDiffers);
    assert_eq!((conflict.count.quantity.get(), conflict.count.before, conflict.count.position), (8, Some(10), Some(2)));
    assert_eq!((conflict.central.quantity, conflict.central.version), (6, 2));
    conflict.id.clone()
}

#[rstest]
#[case::theirs(ConflictChoice::Central, 6)]
#[case::ours(ConflictChoice::Warehouse, 8)]
#[case::neither(ConflictChoice::Quantity(Quantity::new(3).unwrap()), 3)]
#[tokio::test]
async fn decision_makes_both_sides_equal_once_and_what_happened_since_counts(
    #[case] choice: ConflictChoice,
    #[case] expected: i64,
) {
    let mut world = World::new().await;
    let id = disputed(&mut world).await;
    let requests = world.central.requests();
    // A count of all that lies there says what there is; the other choices are about the numbers that were disputed.
    let later = if matches!(choice, ConflictChoice::Quantity(_)) { 0 } else { -1 };
    if later != 0 {
        world.change("A", later).await;
    }
    assert!(world.push(&["A"]).await);
    assert_eq!(world.central.requests(), requests, "nothing is pushed while nobody has decided");

    assert!(matches!(world.resolve(&id, choice).await, ResolveResult::Resolved(_)));
    assert!(matches!(world.resolve(&id, choice).await, ResolveResult::Resolved(_)));
    let other = if choice == ConflictChoice::Central { ConflictChoice::Warehouse } else { ConflictChoice::Central };
    assert!(matches!(world.resolve(&id, other).await, ResolveResult::Otherwise(_)));
    for _ in 0..3 {
        assert!(world.push(&["A"]).await);
    }
    let both = expected + later;
    assert_eq!((world.ours("A").await, world.central.quantity("A")), (both, both));
    let requests = world.central.requests();
    assert!(world.push(&["A"]).await);
    assert_eq!(world.central.requests(), requests, "it does not go back and forth");
    world.change("A", 5).await;
    assert!(world.push(&["A"]).await);
    assert_eq!(world.central.quantity("A"), both + 5);
    assert!(world.conflicts().await.is_empty());
}

#[tokio::test]
async fn difference_that_it_tells_us_of_in_time_is_no_conflict() {
    let mut world = World::new().await;
    world.change("A", 10).await;
    assert!(world.push(&["A"]).await);
    world.central.changes("A", -4);
    world.change("A", -2).await;
    assert!(world.push(&["A"]).await);
    // What it tells us arrives late: the change is there already.
    world.central.changes("A", 4);
    world.told("A", -4).await;
    let waiting = world.waiting();
    assert_eq!(world.work(&waiting).await, 0);
    assert!(world.conflicts().await.is_empty());
    assert_eq!((world.ours("A").await, world.central.quantity("A")), (4, 4));
}

#[tokio::test]
async fn change_that_it_cannot_apply_is_a_conflict() {
    let mut world = World::new().await;
    world.change("A", 10).await;
    assert!(world.push(&["A"]).await);
    world.central.changes("A", -9);
    world.told("B", 1).await;
    world.change("A", -5).await;
    assert!(world.push_again(&["A"]).await);
    let conflicts = world.conflicts().await;
    assert_eq!((conflicts.len(), conflicts[0].central.quantity), (1, 1));
    assert_eq!(conflicts[0].contradiction, Contradiction::CentralDiffers, "its version comes first");
    assert!(matches!(world.resolve(&conflicts[0].id, ConflictChoice::Central).await, ResolveResult::Resolved(_)));
    assert!(world.push(&["A"]).await);
    assert_eq!((world.ours("A").await, world.central.quantity("A")), (1, 1));
}

#[tokio::test]
async fn both_sides_that_begin_with_different_stock_need_a_decision() {
    let mut world = World::new().await;
    world.central.changes("A", 3);
    world.change("A", 10).await;
    assert!(world.push_again(&["A"]).await);
    let conflicts = world.conflicts().await;
    assert_eq!((conflicts.len(), conflicts[0].central.quantity, conflicts[0].count.quantity.get()), (1, 3, 10));
    assert!(matches!(world.resolve(&conflicts[0].id, ConflictChoice::Warehouse).await, ResolveResult::Resolved(_)));
    assert!(world.push(&["A"]).await);
    assert_eq!(world.central.quantity("A"), 10);
}
