//! What fails, there and here: nothing is lost and nothing counts twice.

use std::collections::VecDeque;

use evenstock_app::testing::Fault;
use evenstock_app::{PushJob, QueueName};
use rstest::rstest;

use crate::central::Mischief;
use crate::world::World;

/// A level that both sides have, with one change to be pushed.
async fn ready(world: &mut World) {
    world.change("A", 10).await;
    assert!(world.push(&["A"]).await);
    world.change("A", -3).await;
}

#[rstest]
#[case::lost(Mischief::LosesTheAnswer)]
#[case::garbage(Mischief::Says("<html>".to_owned()))]
#[case::fewer(Mischief::LeavesOne)]
#[case::ten_megabytes(Mischief::Says(" ".repeat(10 * 1024 * 1024)))]
#[case::down(Mischief::Answers(500, None))]
#[case::gone(Mischief::Answers(404, None))]
#[case::key_refused(Mischief::Answers(401, None))]
#[tokio::test]
async fn push_without_an_answer_comes_back_and_counts_once(#[case] mischief: Mischief) {
    let mut world = World::new().await;
    ready(&mut world).await;
    world.central.plans(mischief.clone());
    world.central.plans(mischief);
    assert!(!world.push(&["A"]).await);
    assert!(!world.push(&["A"]).await);
    world.change("A", -1).await;
    assert!(world.push(&["A"]).await);
    assert_eq!(world.central.quantity("A"), 6);
    assert!(world.conflicts().await.is_empty());
}

#[rstest]
#[case(Fault::NotDone)]
#[case(Fault::UnknownDone)]
#[case(Fault::UnknownNotDone)]
#[tokio::test]
async fn crash_between_answer_and_record_counts_once(#[case] fault: Fault) {
    // Two saves of the beginning work, the one after the push does not.
    let mut plan: VecDeque<_> = [Fault::None, Fault::None, fault, Fault::None].into();
    let faults =
        move |operation| if operation == "save_copy" { plan.pop_front().unwrap_or(Fault::None) } else { Fault::None };
    let mut world = World::with(faults).await;
    ready(&mut world).await;
    assert!(!world.push(&["A"]).await);
    assert_eq!(world.central.quantity("A"), 7);
    world.change("A", -1).await;
    assert!(world.push(&["A"]).await);
    assert_eq!((world.central.quantity("A"), world.central.books().levels["A"].1), (6, 3));
}

#[tokio::test]
async fn wait_that_it_asks_for_is_kept_and_does_not_last_for_ever() {
    let mut world = World::new().await;
    ready(&mut world).await;
    world.central.plans(Mischief::Answers(429, Some(17)));
    assert!(world.push(&["A"]).await, "another message stands for it");
    let waiting = world.waiting();
    assert_eq!((waiting.len(), world.pushes.queue.delays(QueueName::StockPushes)), (1, vec![17]));
    let mut next = waiting[0].clone();
    for _ in 0..4 {
        world.central.plans(Mischief::Answers(503, Some(17)));
        world.pushes.clock.advance_ms(900_000);
        assert_eq!(world.work(&[next]).await, 0);
        next = world.waiting().last().unwrap().clone();
    }
    world.central.plans(Mischief::Answers(429, Some(17)));
    world.pushes.clock.advance_ms(900_000);
    assert_eq!(world.work(&[next.clone()]).await, 1, "now it fails like any other");
    assert_eq!(world.work(&[next]).await, 0);
    assert_eq!(world.central.quantity("A"), 7);
}

#[tokio::test]
async fn system_that_is_down_is_left_alone_until_a_probe_is_answered() {
    let mut world = World::new().await;
    ready(&mut world).await;
    for _ in 0..3 {
        world.central.plans(Mischief::Answers(500, None));
        assert!(!world.push(&["A"]).await);
    }
    let requests = world.central.requests();
    for _ in 0..5 {
        assert!(world.push(&["A"]).await, "another message stands for it");
    }
    assert_eq!(world.central.requests(), requests, "no call while the breaker is open");
    assert_eq!(world.pushes.queue.delays(QueueName::StockPushes), [900; 5]);

    world.pushes.clock.advance_ms(900_000);
    world.central.plans(Mischief::Answers(500, None));
    assert!(!world.push(&["A"]).await, "the probe fails");
    assert!(world.push(&["A"]).await);
    assert_eq!(world.central.requests(), requests + 1);

    world.pushes.clock.advance_ms(900_000);
    world.change("A", -1).await;
    assert!(world.push(&["A"]).await);
    assert_eq!(world.central.quantity("A"), 6);
    world.change("A", -1).await;
    assert!(world.push(&["A"]).await);
    assert_eq!(world.central.quantity("A"), 5, "the breaker is closed");
}

#[tokio::test]
async fn update_that_it_refuses_for_good_is_a_dead_letter_that_can_be_sent_back() {
    let mut world = World::new().await;
    world.change("A", 1).await;
    world.change("B", 2).await;
    world.central.plans(Mischief::Refuses("B"));
    assert!(world.push(&["A", "B"]).await);
    assert_eq!(world.central.quantity("A"), 1);
    let letters = world.letters();
    let (letter, levels) = PushJob::from_json(&letters[0]).unwrap();
    assert_eq!((letters.len(), levels[0].sku.as_str()), (1, "B"));
    assert!(letter.reason.unwrap().contains("bad_request"));
    world.change("B", 3).await;
    assert_eq!(world.work(&letters).await, 0);
    assert_eq!(world.central.quantity("B"), 5);
}

#[tokio::test]
async fn message_comes_back_when_nobody_takes_what_is_left_of_it() {
    let mut world = World::new().await;
    ready(&mut world).await;
    world.central.plans(Mischief::Answers(429, Some(17)));
    world.pushes.queue.set_down(true);
    assert!(!world.push(&["A"]).await);
    world.pushes.queue.set_down(false);
    assert!(world.push(&["A"]).await);
    assert_eq!(world.central.quantity("A"), 7);
}
