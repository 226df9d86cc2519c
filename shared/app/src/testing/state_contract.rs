//! The part of the contract that is about records, polls and breakers.
#![expect(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc, reason = "these functions are test bodies")]

use evenstock_domain::{Breaker, OrganizationId, ProbeToken, Source};
use futures::future::join_all;

use super::contract::at;
use crate::{
    BreakerStore, BreakerWatch, Circuit, IdempotencyStore, OperationClaim, OperationRecord, PollStore, StoreProbe,
};

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
    let circuit = Circuit::shared(name.clone());
    let saved = join_all(states.iter().map(|breaker| store.save_breaker(&circuit, None, breaker))).await;
    assert_eq!(saved.iter().filter(|result| *result.as_ref().unwrap()).count(), 1);
    let (rev, stored) = store.load_breaker(&name).await.unwrap();
    assert!(states.contains(&stored));
    let probe = Some((ProbeToken("me".to_owned()), at(10)));
    let probing = Breaker { probe, ..stored };
    assert!(store.save_breaker(&circuit, rev, &probing).await.unwrap());
    assert!(!store.save_breaker(&circuit, rev, &Breaker::default()).await.unwrap());
    assert_eq!(store.load_breaker(&name).await.unwrap().1, probing);
}

fn circuit(organization: &str, name: &str) -> Circuit {
    Circuit::of(OrganizationId::parse(organization).unwrap(), Source::parse(name).unwrap())
}

fn failing(failures: u32, open_until: Option<i64>) -> Breaker {
    Breaker { failures, open_until: open_until.map(at), probe: None }
}

/// Names and failures of what is listed.
async fn listed<S: BreakerWatch>(store: &S, organization: Option<&str>, limit: u32) -> (Vec<(String, u32)>, bool) {
    let organization = organization.map(|organization| OrganizationId::parse(organization).unwrap());
    let found = store.failing_breakers(organization.as_ref(), limit).await.unwrap();
    let row = |(name, breaker): (Source, Breaker)| (name.to_string(), breaker.failures);
    (found.breakers.into_iter().map(row).collect(), found.more)
}

pub async fn breaker_is_listed_while_it_fails<S: BreakerStore + BreakerWatch>(store: &S) {
    let shop = circuit("org #1", "etsy/50% #1");
    assert_eq!(listed(store, Some("org #1"), 9).await, (vec![], false));
    let probing = Breaker { probe: Some((ProbeToken("me".to_owned()), at(90))), ..failing(3, Some(60)) };
    let life = [failing(1, None), failing(3, Some(50)), failing(4, Some(60)), probing];
    for (rev, breaker) in (0..).zip(&life) {
        assert!(store.save_breaker(&shop, (rev > 0).then_some(rev), breaker).await.unwrap());
        let expected = (vec![("etsy/50% #1".to_owned(), breaker.failures)], false);
        assert_eq!(listed(store, Some("org #1"), 9).await, expected);
        assert_eq!(listed(store, None, 9).await, expected);
    }
    assert!(store.save_breaker(&shop, Some(4), &Breaker::default()).await.unwrap());
    for organization in [Some("org #1"), None] {
        assert_eq!(listed(store, organization, 9).await, (vec![], false), "it closed again");
    }
    assert!(store.save_breaker(&shop, Some(5), &failing(1, None)).await.unwrap());
    assert_eq!(listed(store, None, 9).await.0.len(), 1, "and may fail again");
}

pub async fn failing_breakers_of_organizations_are_apart<S: BreakerStore + BreakerWatch>(store: &S) {
    let central = Circuit::shared(Source::parse("central-inventory").unwrap());
    let circuits = [circuit("a", "etsy/1"), circuit("a", "warehouse/main"), circuit("b", "etsy/2"), central];
    for (until, circuit) in (0..).zip(&circuits) {
        assert!(store.save_breaker(circuit, None, &failing(3, Some(until))).await.unwrap());
    }
    let names = async |organization| {
        let (rows, more) = listed(store, organization, 9).await;
        assert!(!more);
        rows.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(Some("a")).await, ["warehouse/main", "etsy/1"]);
    assert_eq!(names(Some("b")).await, ["etsy/2"]);
    assert_eq!(names(Some("c")).await, [""; 0]);
    assert_eq!(names(None).await, ["central-inventory", "etsy/2", "warehouse/main", "etsy/1"]);
}

pub async fn breakers_beyond_the_limit_are_left_out_and_told_of<S: BreakerStore + BreakerWatch>(store: &S) {
    for n in 1..=5 {
        let open_until = (n > 2).then(|| i64::from(n));
        assert!(store.save_breaker(&circuit("a", &format!("etsy/{n}")), None, &failing(n, open_until)).await.unwrap());
    }
    for organization in [Some("a"), None] {
        let failures = async |limit| {
            let (rows, more) = listed(store, organization, limit).await;
            (rows.into_iter().map(|(_, failures)| failures).collect::<Vec<_>>(), more)
        };
        assert_eq!(failures(3).await, (vec![5, 4, 3], true), "open ones first");
        let (all, more) = failures(5).await;
        assert_eq!((all.len(), more), (5, false));
    }
}

pub async fn store_answers_a_ping<S: StoreProbe>(store: &S) {
    store.ping().await.unwrap();
}
