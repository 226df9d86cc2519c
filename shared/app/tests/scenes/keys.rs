//! Idempotency keys: used anew after they were forgotten, and answered twice.

use evenstock_app::{Answer, Clock, IdempotencyStore, Operation, Update, UpdateResult, bind, keep_answer, update};
use evenstock_domain::{ActorCode, Delta};

use crate::stage::{Stage, key, organization};

/// Longer than a key is remembered.
const FORGOTTEN_AFTER_MS: i64 = 31 * 24 * 60 * 60 * 1000;

#[tokio::test]
async fn key_that_was_forgotten_names_another_operation_when_it_is_used_anew() {
    let (stage, shirt) = (Stage::new(), key("SHIRT", "main"));
    let asked = Update {
        key: shirt.clone(),
        delta: Delta::new(5).unwrap(),
        version: None,
        idempotency_key: "monthly".to_owned(),
        request_hash: [1; 32],
        actor: ActorCode(0),
    };
    for (available, is_replayed) in [(5, false), (5, true)] {
        let UpdateResult::Settled { settled, replayed } = update(stage.updates(), &asked).await.unwrap() else {
            panic!("the key is its own");
        };
        assert!(matches!(settled.answer, Answer::Applied(_)), "{settled:?}");
        assert_eq!((settled.level.available, replayed), (available, is_replayed));
    }
    stage.clock.advance_ms(FORGOTTEN_AFTER_MS);
    let UpdateResult::Settled { settled, replayed } = update(stage.updates(), &asked).await.unwrap() else {
        panic!("the key was forgotten");
    };
    assert!(matches!(settled.answer, Answer::Applied(_)) && !settled.repeated && !replayed, "{settled:?}");
    assert_eq!(settled.level.available, 10);
}

#[tokio::test]
async fn twins_are_both_given_the_answer_that_was_kept_first() {
    let (stage, us) = (Stage::new(), organization());
    let Operation::Bound { time, .. } = bind(&stage.store, &stage.clock, &us, "key", [1; 32]).await.unwrap() else {
        panic!("the key is its own");
    };
    let answers = ["the first", "the second"].map(|answer| {
        let (stage, us) = (&stage, &us);
        async move { keep_answer(&stage.store, &stage.clock, us, "key", time, answer.to_owned()).await.unwrap() }
    });
    assert_eq!(futures::future::join_all(answers).await, ["the first", "the first"]);
    let kept = stage.store.inner().keep_answer(&us, "key", stage.clock.now(), "the third").await.unwrap();
    assert_eq!(kept.as_deref(), Some("the first"));
}
