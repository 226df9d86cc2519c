//! The part of the contract that is about records, polls and breakers.
#![expect(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc, reason = "these functions are test bodies")]

use evenstock_domain::{Breaker, OrganizationId, ProbeToken, Source};
use futures::future::join_all;

use super::contract::at;
use crate::{BreakerStore, IdempotencyStore, OperationClaim, OperationRecord, PollStore, StoreProbe};

pub async fn operation_is_claimed_once_until_it_expires<S: IdempotencyStore>(store: &S) {
    let record = |organization: &str, millis, hash| OperationRecord {
        organization: OrganizationId::parse(organization).unwrap(),
        key: "key #1".to_owned(),
        request_hash: [hash; 32],
        time: at(millis),
        expires_at: at(millis + 1000),
        answer: None,
    };
    let first = record("org", 0, 1);
    assert_eq!(store.claim(&first).await.unwrap(), OperationClaim::New);
    assert_eq!(store.claim(&record("org", 999, 2)).await.unwrap(), OperationClaim::Existing(first));
    assert_eq!(
        store.claim(&record("other", 999, 2)).await.unwrap(),
        OperationClaim::New,
        "keys belong to organizations"
    );
    assert_eq!(store.claim(&record("org", 1000, 3)).await.unwrap(), OperationClaim::New, "expired, deleted or not");
    assert_eq!(store.claim(&record("org", 1001, 4)).await.unwrap(), OperationClaim::Existing(record("org", 1000, 3)));
}

pub async fn poll_runs_when_due<S: PollStore>(store: &S) {
    let source = Source::parse("marketplace-b/default").unwrap();
    let begin =
        async |job: &str, now, next, forced| store.begin_run(&source, job, at(now), at(next), forced).await.unwrap();
    let first = begin("a", 0, 300, false).await.unwrap();
    assert_eq!((first.number, first.cursor), (1, None));
    assert_eq!(begin("b", 299, 599, false).await, None, "not due yet");
    assert_eq!(begin("b", 299, 599, true).await.unwrap().number, 2, "unless somebody asks");
    store.advance(&source, at(50)).await.unwrap();
    store.advance(&source, at(40)).await.unwrap();
    assert_eq!(begin("c", 599, 900, false).await.unwrap().cursor, Some(at(50)), "the cursor never moves back");
    store.defer(&source, at(5000)).await.unwrap();
    store.defer(&source, at(4000)).await.unwrap();
    assert_eq!(begin("d", 4999, 9000, true).await, None, "the other side asked us to wait");
    assert_eq!(begin("d", 5000, 9000, false).await.unwrap().number, 4);
    assert_eq!(begin("d", 5001, 9000, false).await.unwrap().number, 5, "a job that did not learn that it had begun");
    assert_eq!(begin("e", 5002, 9000, false).await, None);
    store.finish_run(&source, at(20_000)).await.unwrap();
    assert_eq!(begin("e", 19_999, 30_000, false).await, None);
    assert!(begin("e", 20_000, 30_000, false).await.is_some());
}

pub async fn breaker_is_saved_by_one_of_many<S: BreakerStore>(store: &S) {
    let name = Source::parse("marketplace-b/default").unwrap();
    assert_eq!(store.load_breaker(&name).await.unwrap(), (None, Breaker::default()));
    let states: Vec<_> = (1..=8).map(|failures| Breaker { failures, open_until: Some(at(9)), probe: None }).collect();
    let saved = join_all(states.iter().map(|breaker| store.save_breaker(&name, None, breaker))).await;
    assert_eq!(saved.iter().filter(|result| *result.as_ref().unwrap()).count(), 1);
    let (rev, stored) = store.load_breaker(&name).await.unwrap();
    assert!(states.contains(&stored));
    let probe = Some((ProbeToken("me".to_owned()), at(10)));
    let probing = Breaker { probe, ..stored };
    assert!(store.save_breaker(&name, rev, &probing).await.unwrap());
    assert!(!store.save_breaker(&name, rev, &Breaker::default()).await.unwrap());
    assert_eq!(store.load_breaker(&name).await.unwrap().1, probing);
}

pub async fn store_answers_a_ping<S: StoreProbe>(store: &S) {
    store.ping().await.unwrap();
}
