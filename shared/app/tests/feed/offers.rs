//! What one call of publishing is offered more than once, because batches of the stream overlap, and one that goes on
//! where its feed began anew meanwhile.

use core::pin::pin;

use evenstock_app::testing::worlds::turns;
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{Candidate, Clock, FeedDeps, FeedStore, RecentPages, StoreError, publish};
use evenstock_domain::{Change, ChangeType, EventId, FeedLimits, LocationId, OrganizationId, Sku, Source, Timestamp};

/// More turns than anything here takes.
const TURNS: usize = 30;

/// The age from which on nobody goes on from a marker without pages.
const TOO_OLD_AFTER_MS: i64 = 24 * 60 * 60 * 1000;

pub(crate) fn us() -> OrganizationId {
    OrganizationId::parse("us").unwrap()
}

/// A sale that made this version, offered as soon as it was recorded.
pub(crate) fn offered(sku: &str, version: u64, at: Timestamp) -> Candidate {
    let change = Change {
        sku: Sku::parse(sku).unwrap(),
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

/// One publisher's call, by a process that knows nothing of the feed yet.
pub(crate) async fn publish_to<S: FeedStore>(
    store: &S,
    clock: &FixedClock,
    candidates: &[Candidate],
) -> Result<Vec<u64>, StoreError> {
    let (limits, recent) = (FeedLimits::keeping_hours(168), RecentPages::default());
    publish(FeedDeps { store, clock, limits: &limits, recent: &recent }, &us(), candidates).await
}

#[tokio::test]
async fn change_that_is_offered_twice_at_once_has_one_number() {
    let now = Timestamp::EPOCH.plus_millis(1_800_000_000_000);
    let (store, clock) = (MemoryStore::default(), FixedClock::at(now));
    let twice = [1, 2, 1, 2].map(|version| offered("SHIRT", version, now));
    assert_eq!(publish_to(&store, &clock, &twice).await.unwrap(), [1, 2, 1, 2]);
    let tail = store.feed_tail(&us(), 10).await.unwrap();
    assert_eq!(tail.pages.iter().map(|page| page.changes.len()).collect::<Vec<_>>(), [2]);
}

/// A marker was set and its page never put. Just before it is too old to be gone on from, one publisher sees it, and just
/// after, another one begins the feed anew behind the ceiling: whoever reads from there would never see a page below.
#[tokio::test]
async fn publisher_whose_mark_came_too_late_puts_nothing_below_the_new_beginning() {
    let mut began_anew = 0;
    for hangs_after in 0..TURNS {
        let clock = FixedClock::at(Timestamp::EPOCH.plus_millis(1_800_000_000_000));
        let store = FaultyStore::new(MemoryStore::default(), |_| Fault::None);
        let (dead, late) = ([offered("SHIRT", 1, clock.now())], [offered("LATE", 1, clock.now())]);
        {
            let mut dying = pin!(publish_to(&store, &clock, &dead));
            while store.inner().feed_tail(&us(), 1).await.unwrap().marker.is_none() {
                assert!(turns(dying.as_mut(), 1).is_none(), "it has a change to put");
            }
        }
        clock.advance_ms(TOO_OLD_AFTER_MS - 1);
        let mut slow = pin!(publish_to(&store, &clock, &late));
        let done = turns(slow.as_mut(), hangs_after);
        clock.advance_ms(1);
        publish_to(store.inner(), &clock, &dead).await.unwrap();
        let numbers = match done {
            Some(numbers) => numbers,
            None => slow.await,
        };
        let (number, start) =
            (numbers.unwrap()[0], store.inner().feed_tail(&us(), 1).await.unwrap().marker.unwrap().start);
        assert!(number >= start, "{number} below {start}, hung after {hangs_after} turns");
        began_anew += usize::from(start > 1);
    }
    assert!(began_anew > 2, "another one was faster at each of its steps: {began_anew}");
}
