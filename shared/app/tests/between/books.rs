//! Bulk sync: what a replacement empties and what it leaves.

use std::collections::BTreeSet;

use evenstock_app::testing::{FixedClock, MemoryStore};
use evenstock_app::{BulkMode, BulkOutcome, BulkRequest, Clock, UpdateDeps, bulk_sync};
use evenstock_domain::{ActorCode, LocationId};

use crate::{apply, delta, ids, key, level, organization, start};

async fn sync(store: &MemoryStore, clock: &FixedClock, location: &str, mode: BulkMode) -> BulkOutcome {
    let request = BulkRequest {
        organization: organization(),
        location: LocationId::parse(location).unwrap(),
        mode,
        products: Vec::new(),
        actor: ActorCode(0),
        operation: format!("sync of {location}"),
        time: clock.now(),
    };
    bulk_sync(&UpdateDeps { store, clock, ids: &ids() }, &request).await.unwrap()
}

fn counted(outcome: BulkOutcome) -> (u64, u64) {
    match outcome {
        BulkOutcome::Done(counters) => (counters.updated, counters.skipped),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn level_that_changed_in_the_millisecond_of_a_replacement_is_left_alone() {
    let (store, clock) = (MemoryStore::default(), FixedClock::at(start()));
    apply(&store, &clock, &key("CAP"), "delivery", delta(5)).await;
    assert_eq!(counted(sync(&store, &clock, "main", BulkMode::Replace).await), (0, 1));
    assert_eq!(level(&store, &key("CAP")).await.available, 5, "nobody knows which of the two was first");
    clock.advance_ms(1);
    assert_eq!(counted(sync(&store, &clock, "main", BulkMode::Replace).await), (1, 0));
    assert_eq!(level(&store, &key("CAP")).await.available, 0);
}

#[tokio::test]
async fn replacement_empties_more_than_one_listing_holds() {
    let (store, clock) = (MemoryStore::default(), FixedClock::at(start()));
    for n in 0..501 {
        apply(&store, &clock, &key(&format!("CAP-{n}")), &format!("delivery {n}"), delta(5)).await;
    }
    clock.advance_ms(1);
    assert_eq!(counted(sync(&store, &clock, "main", BulkMode::Replace).await), (501, 0));
    let mut left = BTreeSet::new();
    for n in 0..501 {
        left.insert(level(&store, &key(&format!("CAP-{n}"))).await.available);
    }
    assert_eq!(left, BTreeSet::from([0]));
}

#[tokio::test]
async fn name_of_a_sync_stands_for_the_location_that_it_began_with() {
    let (store, clock) = (MemoryStore::default(), FixedClock::at(start()));
    apply(&store, &clock, &key("CAP"), "delivery", delta(5)).await;
    clock.advance_ms(1);
    let part = |last| BulkMode::Part { sync: "monday".to_owned(), last };
    assert_eq!(counted(sync(&store, &clock, "elsewhere", part(false)).await), (0, 0));
    assert_eq!(sync(&store, &clock, "main", part(true)).await, BulkOutcome::OtherLocation);
    assert_eq!(level(&store, &key("CAP")).await.available, 5);
}
