//! Use cases of one level or one job that somebody else comes in between, at each point where he can; and edges of them
//! that a moment decides.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test reports by panicking")]

mod books;
mod keys;
mod triggers;
mod warehouses;

use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use evenstock_app::testing::FixedClock;
use evenstock_app::{Clock, StockStore, apply_group};
use evenstock_domain::{
    ActorCode, Delta, EventBody, EventIdKey, LevelKey, LocationId, OrganizationId, Outcome, Sku, Source, StockEvent,
    StockLevel, Timestamp,
};

/// More turns than anything here takes.
const TURNS: usize = 40;

fn start() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000).unwrap()
}

fn organization() -> OrganizationId {
    OrganizationId::parse("us").unwrap()
}

fn key(sku: &str) -> LevelKey {
    let location = LocationId::parse("main").unwrap();
    LevelKey { organization: organization(), sku: Sku::parse(sku).unwrap(), location }
}

fn ids() -> EventIdKey {
    EventIdKey::new(*b"0123456789abcdef")
}

/// Applies an event now, at once.
async fn apply<S: StockStore>(store: &S, clock: &FixedClock, key: &LevelKey, name: &str, body: EventBody) {
    let (id, time) = (ids().event_id(name), clock.now());
    let event = StockEvent { id, time, source: Source::api(), actor: ActorCode(0), body };
    assert_eq!(apply_group(store, clock, key, &[event]).await.outcomes, [Outcome::Applied], "{name}");
}

fn delta(units: i64) -> EventBody {
    EventBody::Delta(Delta::new(units).unwrap())
}

async fn level<S: StockStore>(store: &S, key: &LevelKey) -> StockLevel {
    store.load(key).await.unwrap().unwrap().level
}

/// Gives a process so many turns; what it came to, if it came to its end.
fn turns<T>(process: &mut Pin<&mut impl Future<Output = T>>, count: usize) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    (0..count).find_map(|_| match process.as_mut().poll(&mut context) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    })
}

/// Runs a process for so many turns, then another one to its end, then the first one to its end. `None` when the first
/// one did not last so long.
async fn interrupted<T>(first: impl Future<Output = T>, after: usize, other: impl Future<Output = ()>) -> Option<T> {
    let mut first = pin!(first);
    if turns(&mut first, after).is_some() {
        return None;
    }
    other.await;
    Some(first.await)
}
