//! What an idempotency key stands for: for how long, and which of two answers.

use evenstock_app::testing::{FixedClock, MemoryStore};
use evenstock_app::{Operation, bind, keep_answer};

use crate::{organization, start};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

async fn name(store: &MemoryStore, clock: &FixedClock) -> (String, bool) {
    match bind(store, clock, &organization(), "key", [7; 32]).await.unwrap() {
        Operation::Bound { name, known, .. } => (name, known),
        Operation::KeyReused => panic!("it is the same request"),
    }
}

#[tokio::test]
async fn key_that_is_used_anew_after_it_expired_names_another_operation() {
    let (store, clock) = (MemoryStore::default(), FixedClock::at(start()));
    let (first, known) = name(&store, &clock).await;
    assert!(!known);
    clock.advance_ms(29 * DAY_MS);
    assert_eq!(name(&store, &clock).await, (first.clone(), true));
    clock.advance_ms(2 * DAY_MS);
    let (anew, known) = name(&store, &clock).await;
    assert!(!known && anew != first, "{anew} must not be taken for what was done under {first}");
}

#[tokio::test]
async fn first_of_two_answers_under_one_key_counts_for_both() {
    let (store, clock) = (MemoryStore::default(), FixedClock::at(start()));
    name(&store, &clock).await;
    for mine in ["first", "second"] {
        let kept = keep_answer(&store, &clock, &organization(), "key", start(), mine.to_owned()).await.unwrap();
        assert_eq!(kept, "first");
    }
}
