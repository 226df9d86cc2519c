//! Polling a marketplace: what is asked, what is queued, where the cursor goes and when the breaker opens.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking; that is how it reports")]

mod breaker;
mod cursor;
mod rows;

use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Mutex;

use evenstock_app::testing::{FixedClock, MemoryQueue, MemoryStore, ScriptedFeed};
use evenstock_app::{
    FeedError, FeedPage, FeedRow, FeedRowIssue, PollError, PollPlan, PollReport, PollTrigger, Poller, QueueName,
    StockChange, StockFeed, poll,
};
use evenstock_domain::{BreakerConfig, LocationId, OrganizationId, Quantity, Sku, Source, Timestamp};

/// Time between scheduled polls.
const INTERVAL_MS: i64 = 300_000;

/// How long the breaker stays open.
const COOLDOWN_MS: i64 = 900_000;

/// How long a probe may take.
const PROBE_MS: i64 = 120_000;

/// What one of our functions shares with the next.
struct World {
    store: MemoryStore,
    queue: MemoryQueue,
    clock: FixedClock,
    jobs: AtomicU32,
}

impl World {
    /// The clock is 19 days ahead of the rows that [`row`] makes: no test depends on the two being close.
    fn new() -> Self {
        let clock = FixedClock::at(Timestamp::parse("2026-11-20T08:00:00Z").unwrap());
        Self { store: MemoryStore::default(), queue: MemoryQueue::default(), clock, jobs: AtomicU32::new(0) }
    }

    /// Polls under a name of its own.
    async fn poll<F: StockFeed>(&self, feed: &F, trigger: PollTrigger) -> Result<PollReport, PollError> {
        let job = format!("job-{}", self.jobs.fetch_add(1, Ordering::SeqCst));
        self.poll_as(&job, feed, trigger).await
    }

    async fn poll_as<F: StockFeed>(&self, job: &str, feed: &F, trigger: PollTrigger) -> Result<PollReport, PollError> {
        let poller = Poller { store: &self.store, queue: &self.queue, feed, clock: &self.clock };
        poll(&poller, &plan(), trigger, job).await
    }

    /// Polls on request and expects that our side works.
    async fn poll_now<F: StockFeed>(&self, feed: &F) -> PollReport {
        self.poll(feed, PollTrigger::Manual).await.unwrap()
    }

    /// Where the next poll would read on.
    async fn cursor(&self) -> Timestamp {
        let feed = ScriptedFeed::default();
        self.poll_now(&feed).await;
        feed.asked().first().unwrap().0
    }

    fn queued(&self) -> Vec<StockChange> {
        let bodies = self.queue.bodies(QueueName::StockChanges);
        bodies.iter().map(|body| StockChange::from_json(body).unwrap()).collect()
    }
}

fn plan() -> PollPlan {
    PollPlan {
        source: Source::parse("marketplace-b/default").unwrap(),
        organization: OrganizationId::parse("demo").unwrap(),
        interval_ms: INTERVAL_MS,
        breaker: BreakerConfig { threshold: 3, cooldown_ms: COOLDOWN_MS, probe_ms: PROBE_MS },
    }
}

/// A row's time, in seconds.
fn at(seconds: i64) -> Timestamp {
    Timestamp::parse("2026-11-01T00:00:00Z").unwrap().plus_millis(seconds * 1000)
}

fn row(sku: &str, last_modified: Timestamp, quantity: i64) -> FeedRow {
    FeedRow {
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse("main").unwrap(),
        quantity: Quantity::new(quantity).unwrap(),
        last_modified,
    }
}

fn bad_row(last_modified: Option<Timestamp>) -> FeedRowIssue {
    FeedRowIssue { sku: None, last_modified, issue: "qty: must not be negative".to_owned() }
}

fn page(rows: impl IntoIterator<Item = FeedRow>) -> Result<FeedPage, FeedError> {
    Ok(FeedPage { rows: rows.into_iter().map(Ok).collect() })
}

fn unavailable() -> Result<FeedPage, FeedError> {
    Err(FeedError::Unavailable { reason: "500".to_owned(), retry_after_seconds: None })
}

/// A marketplace that keeps to its contract: rows changed at or after `since`, oldest first, at most `limit`.
struct Marketplace {
    rows: Vec<FeedRow>,
    asked: Mutex<Vec<(Timestamp, u32)>>,
    /// Rows that it gives at most, whatever it is asked for. The contract has no such limit.
    page_max: u32,
}

impl Marketplace {
    fn new(mut rows: Vec<FeedRow>) -> Self {
        rows.sort_by_key(|row| row.last_modified);
        Self { rows, asked: Mutex::default(), page_max: u32::MAX }
    }

    fn asked(&self) -> Vec<(Timestamp, u32)> {
        self.asked.lock().unwrap().clone()
    }
}

impl StockFeed for Marketplace {
    async fn changed_since(&self, since: Timestamp, limit: u32) -> Result<FeedPage, FeedError> {
        self.asked.lock().unwrap().push((since, limit));
        let rows = self
            .rows
            .iter()
            .filter(|row| row.last_modified >= since)
            .take(usize::try_from(limit.min(self.page_max)).unwrap());
        page(rows.cloned())
    }
}
