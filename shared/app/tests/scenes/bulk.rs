//! Bulk syncs at their edges: what changed in the very moment of a replacement, more levels than one listing, and a name
//! that is taken.

use evenstock_app::{BulkCounters, BulkMode, BulkOutcome, BulkProduct, BulkRequest, Clock, bulk_sync};
use evenstock_domain::{ActorCode, LocationId, Quantity, Sku};

use crate::stage::{Stage, delta, key, organization};

/// Levels that one listing reads.
const LISTED: usize = 500;

/// What the books of a place say now: these products, five each, seen at no version.
fn books(stage: &Stage, location: &str, mode: BulkMode, skus: &[&str]) -> BulkRequest {
    let product =
        |sku: &&str| BulkProduct { sku: Sku::parse(sku).unwrap(), quantity: Quantity::new(5).unwrap(), version: 0 };
    BulkRequest {
        organization: organization(),
        location: LocationId::parse(location).unwrap(),
        mode,
        products: skus.iter().map(product).collect(),
        actor: ActorCode(0),
        operation: format!("books of {location}"),
        time: stage.clock.now(),
    }
}

async fn sync(stage: &Stage, request: &BulkRequest) -> BulkOutcome {
    bulk_sync(&stage.updates(), request).await.unwrap()
}

#[tokio::test]
async fn level_that_changed_in_the_moment_of_a_replacement_is_not_emptied() {
    let (stage, old, new) = (Stage::new(), key("OLD", "main"), key("NEW", "main"));
    stage.apply(&old, &[stage.event("old", "till", delta(3))]).await;
    stage.clock.advance_ms(1);
    stage.apply(&new, &[stage.event("new", "till", delta(3))]).await;
    let replaced = sync(&stage, &books(&stage, "main", BulkMode::Replace, &[])).await;
    assert_eq!(replaced, BulkOutcome::Done(BulkCounters { updated: 1, created: 0, skipped: 1 }));
    assert_eq!(stage.level(&old).await.map(|level| level.available), Some(0));
    assert_eq!(stage.level(&new).await.map(|level| level.available), Some(3));
}

#[tokio::test]
async fn replacement_empties_what_stands_behind_the_first_listing() {
    let stage = Stage::new();
    for n in 0..=LISTED {
        stage.apply(&key(&format!("SKU-{n:04}"), "main"), &[stage.event("first", "till", delta(3))]).await;
    }
    stage.clock.advance_ms(1);
    let replaced = sync(&stage, &books(&stage, "main", BulkMode::Replace, &[])).await;
    let all = BulkCounters { updated: 1 + LISTED as u64, created: 0, skipped: 0 };
    assert_eq!(replaced, BulkOutcome::Done(all));
    let last = stage.level(&key(&format!("SKU-{LISTED:04}"), "main")).await;
    assert_eq!(last.map(|level| level.available), Some(0));
}

#[tokio::test]
async fn name_of_a_sync_stands_for_one_location() {
    let stage = Stage::new();
    let part = |last| BulkMode::Part { sync: "stocktaking".to_owned(), last };
    let begun = sync(&stage, &books(&stage, "main", part(false), &["SHIRT"])).await;
    assert_eq!(begun, BulkOutcome::Done(BulkCounters { updated: 0, created: 1, skipped: 0 }));
    let elsewhere = key("SOCKS", "depot");
    stage.apply(&elsewhere, &[stage.event("first", "till", delta(3))]).await;
    stage.clock.advance_ms(1);
    let other = sync(&stage, &books(&stage, "depot", part(true), &["SHIRT"])).await;
    assert_eq!(other, BulkOutcome::OtherLocation);
    assert_eq!(stage.level(&elsewhere).await.map(|level| level.available), Some(3));
    assert_eq!(stage.level(&key("SHIRT", "depot")).await, None);
}
