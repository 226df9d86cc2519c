//! The marker, between publishers whose clocks differ: no number is given that it does not cover.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{Candidate, Clock, FeedDeps, FeedStore, RecentPages, publish};
use evenstock_domain::{Change, ChangeType, EventId, FeedLimits, LocationId, OrganizationId, Sku, Source, Timestamp};

/// More turns than a publisher takes.
const TURNS: usize = 60;

const LIMITS: FeedLimits =
    FeedLimits { retention_ms: 24 * 60 * 60 * 1000, page_changes: 2, page_bytes: 16 * 1024, ceiling_step: 2 };

fn organization() -> OrganizationId {
    OrganizationId::parse("us").unwrap()
}

fn start() -> Timestamp {
    Timestamp::EPOCH.plus_millis(1_800_000_000_000)
}

fn candidate(version: u64, at: Timestamp) -> Candidate {
    let change = Change {
        sku: Sku::parse("SHIRT").unwrap(),
        location: LocationId::parse("main").unwrap(),
        version,
        kind: ChangeType::StockDecreased,
        delta: -1,
        quantity: 7,
        reserved: 0,
        source: Source::api(),
        event_id: EventId([7; 8]),
        at,
    };
    Candidate { change, recorded_at: at }
}

async fn publish_all<S: FeedStore>(store: &S, now: Timestamp, candidates: &[Candidate]) {
    let (clock, recent) = (FixedClock::at(now), RecentPages::default());
    let deps = FeedDeps { store, clock: &clock, limits: &LIMITS, recent: &recent };
    assert_eq!(publish(deps, &organization(), candidates).await.unwrap().len(), candidates.len());
    assert_eq!(clock.now(), now);
}

/// Whether it came to its end within so many turns.
fn turns(mut work: Pin<&mut impl Future<Output = ()>>, count: usize) -> bool {
    (0..count).any(|_| work.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(()))
}

/// To one publisher the newest page has just expired, to the other it has not: one moves the start, the other raises the
/// ceiling, and the first one dies.
#[tokio::test]
async fn number_is_given_only_once_the_marker_that_stands_covers_it() {
    let mut died_marked = 0;
    for meets_after in 0..TURNS {
        for dies_after in 0..TURNS {
            let store = FaultyStore::new(MemoryStore::default(), |_| Fault::None);
            publish_all(store.inner(), start(), &[candidate(1, start()), candidate(2, start())]).await;
            let expires = start().plus_millis(LIMITS.retention_ms);
            let (early, late) = ([candidate(3, expires)], [candidate(4, expires)]);
            let mut slow = pin!(publish_all(&store, expires.plus_millis(-30_000), &early));
            if turns(slow.as_mut(), meets_after) {
                break;
            }
            if turns(pin!(publish_all(&store, expires.plus_millis(30_000), &late)), dies_after) {
                break;
            }
            let marker = store.inner().feed_tail(&organization(), 1).await.unwrap().marker.unwrap();
            died_marked += u32::from(marker.start == 3);
            slow.await;
            let tail = store.inner().feed_tail(&organization(), 9).await.unwrap();
            let newest = tail.pages.first().unwrap().last_seq();
            let ceiling = tail.marker.unwrap().ceiling;
            assert!(newest >= 3, "its change has a number");
            assert!(
                newest <= ceiling,
                "{newest} is above {ceiling}; met after {meets_after} turns, died after {dies_after}"
            );
        }
    }
    assert!(died_marked > 2, "{died_marked} died once they had moved the start");
}
