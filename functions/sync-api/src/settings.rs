//! How the deployment is set up, as far as this function tells or obeys it.

use evenstock_app::{Clock, QueueName};
use evenstock_domain::Timestamp;
use evenstock_runtime::{ConfigError, Environment, SystemClock};

/// A bound on how much of one kind is worked on at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulkhead {
    /// The queue whose work is bounded.
    pub queue: QueueName,
    /// Its name.
    pub name: &'static str,
    /// Calls at a time at most.
    pub limit: u64,
}

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// When this process started.
    pub started_at: Timestamp,
    /// Time between two scheduled polls unless somebody chose otherwise, in milliseconds.
    pub interval_ms: i64,
    /// The schedule's own step in milliseconds: an interval is rounded up to it.
    pub step_ms: i64,
    /// Whether counters may be set back: not in production.
    pub resettable: bool,
    /// Calls of this function at a time that are reserved for it; `None` when none are.
    pub http_limit: Option<u64>,
    /// Whether changes are pushed to a central system.
    pub pushes: bool,
    /// The queues that are shown, with their bounds.
    pub bulkheads: Vec<Bulkhead>,
}

impl Settings {
    /// From the environment: `POLL_INTERVAL_SECONDS` (300), `SCHEDULE_STEP_SECONDS` (60), `STAGE`,
    /// `HTTP_RESERVED_CONCURRENCY` (0: none), `STOCK_WORKER_CONCURRENCY` (50), `POLLER_CONCURRENCY` (2),
    /// `ORDER_WORKER_CONCURRENCY` (20), `CALLBACK_WORKER_CONCURRENCY` (20), `WAREHOUSE_EVENTS_CONCURRENCY` (10),
    /// `CENTRAL_INVENTORY_URL`, `WAREHOUSE_WORKER_CONCURRENCY` (5), `CHANNEL_PUBLISHER_CONCURRENCY` (5).
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable that is wrong.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        let seconds = |name, default| environment.parsed::<u32>(name, "a whole number of seconds", default);
        let number = |name, default| environment.parsed::<u64>(name, "a whole number", default);
        let bulkhead =
            |queue, name, variable, limit| number(variable, limit).map(|limit| Bulkhead { queue, name, limit });
        let reserved = number("HTTP_RESERVED_CONCURRENCY", 0)?;
        Ok(Self {
            started_at: SystemClock.now(),
            interval_ms: i64::from(seconds("POLL_INTERVAL_SECONDS", 300)?) * 1000,
            step_ms: i64::from(seconds("SCHEDULE_STEP_SECONDS", 60)?.max(1)) * 1000,
            resettable: environment.optional("STAGE") != Some("prod"),
            http_limit: (reserved > 0).then_some(reserved),
            pushes: environment.optional("CENTRAL_INVENTORY_URL").is_some(),
            bulkheads: vec![
                bulkhead(QueueName::StockChanges, "stock-changes", "STOCK_WORKER_CONCURRENCY", 50)?,
                bulkhead(QueueName::PollJobs, "poll-jobs", "POLLER_CONCURRENCY", 2)?,
                bulkhead(QueueName::StoreSync, "store-sync", "ORDER_WORKER_CONCURRENCY", 20)?,
                bulkhead(QueueName::Callbacks, "callbacks", "CALLBACK_WORKER_CONCURRENCY", 20)?,
                bulkhead(QueueName::WarehouseEvents, "warehouse-events", "WAREHOUSE_EVENTS_CONCURRENCY", 10)?,
                bulkhead(QueueName::WarehouseSync, "warehouse-sync", "WAREHOUSE_WORKER_CONCURRENCY", 5)?,
                bulkhead(QueueName::StockPushes, "stock-pushes", "CHANNEL_PUBLISHER_CONCURRENCY", 5)?,
            ],
        })
    }

    /// How long this process has run, in seconds.
    pub(crate) fn uptime_s(&self, now: Timestamp) -> i64 {
        now.millis_since(self.started_at).max(0) / 1000
    }

    /// An interval as the schedule can keep it.
    pub(crate) fn rounded_ms(&self, interval_ms: i64) -> i64 {
        let steps = interval_ms.saturating_add(self.step_ms - 1).div_euclid(self.step_ms.max(1)).max(1);
        steps.saturating_mul(self.step_ms)
    }
}
