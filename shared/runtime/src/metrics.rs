//! Counting what this process does. Counting is an addition to an atomic; from time to time, at the end of a call, the
//! sums go to the table (where `GET /api/metrics` reads them) and, in Lambda, to CloudWatch as an embedded metric.
//!
//! The counters belong to the process, as its log does, so that nothing has to carry them about. Sums that an instance
//! had not sent when it was ended are lost: at most a minute of them.

use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use evenstock_app::{Clock, CounterStore, Counts, StoreError, with_causes};
use evenstock_telemetry::{Measured, Metric};
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use crate::{SystemClock, new_id};

/// How often an instance sends its sums, in milliseconds.
const SEND_EVERY_MS: i64 = 60_000;

/// Upper bounds of the classes of latency, in milliseconds; slower requests are in the last, which has none.
pub const LATENCY_BOUNDS_MS: [i64; 10] = [5, 10, 25, 50, 100, 200, 300, 500, 1000, 5000];

/// CloudWatch's name for where our metrics are.
const NAMESPACE: &str = "Evenstock";

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Counter {
            $($(#[$doc])* $name,)+
        }

        /// Their names, in order.
        const NAMES: &[&str] = &[$($text,)+];
    };
}

counters! {
    /// Requests answered.
    Requests = "requests",
    /// Requests answered with a status of 500 or more.
    Errors = "errors",
    /// Requests refused with 409.
    Conflicts = "conflicts",
    /// Requests recognized by their idempotency key.
    IdempotentHits = "idempotentHits",
    /// Requests refused with 429.
    RateLimited = "rateLimited",
    /// Requests turned away because too much waits.
    Shed = "shed",
    /// Requests that change stock.
    AdjustStock = "adjustStock",
    /// Requests that reserve stock.
    ReserveStock = "reserveStock",
    /// Requests that read stock.
    GetInventory = "getInventory",
    /// Requests to synchronize, or about it.
    SyncOperations = "syncOperations",
    /// Stock events that were applied.
    InventoryUpdates = "inventoryUpdates",
    /// Messages that failed for the last time, and records that were given up at once.
    DlqEvents = "dlqEvents",
    /// Changes that the central system was told.
    StockPushes = "stockPushes",
    /// Levels whose changes it could not be told.
    StockPushFailures = "stockPushFailures",
    /// Levels of which it was found to hold something else.
    StockPushConflicts = "stockPushConflicts",
    /// Orders that a marketplace confirmed.
    ImportedOrders = "importedOrders",
    /// Receipts that a marketplace did not want to be asked about now.
    RateLimitedReceipts = "rateLimitedReceipts",
    /// Calls of endpoints that arrived.
    CallbacksSucceeded = "callbacksSucceeded",
    /// Deliveries whose last call failed.
    CallbacksFailed = "callbacksFailed",
    /// Calls that failed and are made again.
    CallbacksRetried = "callbacksRetried",
    /// Changes of warehouses that were applied.
    WarehouseChangesApplied = "warehouseChangesApplied",
    /// Changes of warehouses that were known, or older than what is known.
    WarehouseChangesStale = "warehouseChangesStale",
    /// Changes of warehouses that contradict what we know.
    WarehouseConflicts = "warehouseConflicts",
    /// Warehouses that were compared with our stock to the end.
    Reconciliations = "reconciliations",
    /// Comparisons that ended without it.
    ReconciliationsFailed = "reconciliationsFailed",
    /// Levels that a comparison found to be wrong, and set right.
    DriftRepaired = "driftRepaired",
    /// Polls of a marketplace that read all they could; an alarm misses them.
    PollsCompleted = "pollsCompleted",
    /// Bytes of snapshots that were handed out.
    SnapshotWriteBytes = "snapshotWriteBytes",
    /// Time that requests took, in milliseconds, summed.
    LatencySumMs = "latencySumMs",
}

/// The counters and, behind them, the classes of latency.
static PENDING: [AtomicU64; NAMES.len() + LATENCY_BOUNDS_MS.len() + 1] =
    [const { AtomicU64::new(0) }; NAMES.len() + LATENCY_BOUNDS_MS.len() + 1];

/// The same since the process started.
static TOTALS: [AtomicU64; NAMES.len() + LATENCY_BOUNDS_MS.len() + 1] =
    [const { AtomicU64::new(0) }; NAMES.len() + LATENCY_BOUNDS_MS.len() + 1];

/// Requests in work.
static IN_WORK: AtomicU64 = AtomicU64::new(0);

static SENT_AT: AtomicI64 = AtomicI64::new(0);

/// Sums whose addition is not known to be done; it is made again as it was.
static UNSETTLED: Mutex<Option<(String, Counts)>> = Mutex::new(None);

type Add = dyn Fn(String, Counts) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync;

struct Destination {
    function: &'static str,
    embedded: bool,
    add: Box<Add>,
}

static DESTINATION: OnceLock<Destination> = OnceLock::new();

/// Counts.
pub fn count(counter: Counter, n: u64) {
    add(counter as usize, n);
}

fn add(place: usize, n: u64) {
    for counters in [&PENDING, &TOTALS] {
        if let Some(counter) = counters.get(place) {
            counter.fetch_add(n, Ordering::Relaxed);
        }
    }
}

/// Counts a request that took so long.
pub fn count_latency(millis: i64) {
    let class = LATENCY_BOUNDS_MS.iter().position(|bound| millis <= *bound).unwrap_or(LATENCY_BOUNDS_MS.len());
    add(NAMES.len().saturating_add(class), 1);
    count(Counter::LatencySumMs, u64::try_from(millis).unwrap_or_default());
}

/// The name of a class of latency: `latency5`, …, `latencyMore`.
pub fn latency_name(class: usize) -> String {
    LATENCY_BOUNDS_MS.get(class).map_or_else(|| "latencyMore".to_owned(), |bound| format!("latency{bound}"))
}

/// A counter's name where metrics have names in Prometheus' manner: in the text of `GET /api/metrics` and in what is
/// exported.
pub fn standard_name(name: &str) -> String {
    match name {
        "requests" => "http_requests_total".to_owned(),
        "errors" => "http_errors_total".to_owned(),
        "snapshotWriteBytes" => "snapshot_write_bytes".to_owned(),
        _ => {
            let mut standard = String::with_capacity(name.len().saturating_add(10));
            for character in name.chars() {
                if character.is_ascii_uppercase() {
                    standard.push('_');
                }
                standard.push(character.to_ascii_lowercase());
            }
            standard + "_total"
        }
    }
}

/// Everything counted since the process started, as it is exported.
pub(crate) fn totals() -> Vec<Metric> {
    let total = |place: usize| TOTALS.get(place).map_or(0, |total| total.load(Ordering::Relaxed));
    let latency_sum = Counter::LatencySumMs as usize;
    let counters = NAMES.iter().enumerate().filter(|(place, _)| *place != latency_sum);
    let mut metrics: Vec<_> = counters
        .map(|(place, name)| {
            let unit = if name.ends_with("Bytes") { "By" } else { "1" };
            Metric { name: standard_name(name), unit, measured: Measured::Sum(total(place)) }
        })
        .collect();
    let counts = (0..=LATENCY_BOUNDS_MS.len()).map(|class| total(NAMES.len().saturating_add(class)));
    let (bounds, counts) = (LATENCY_BOUNDS_MS.to_vec(), counts.collect());
    let measured = Measured::Histogram { bounds, counts, sum: total(latency_sum) };
    metrics.push(Metric { name: "request_latency_ms".to_owned(), unit: "ms", measured });
    metrics
}

/// Requests that this process works on, until the guard is dropped.
#[derive(Debug)]
pub struct InWork(());

impl InWork {
    /// One more.
    pub fn begin() -> Self {
        IN_WORK.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// How many there are.
    pub fn now() -> u64 {
        IN_WORK.load(Ordering::Relaxed)
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        IN_WORK.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends the sums of this process to `store` under the function's name, and to CloudWatch if `embedded`. A second call
/// changes nothing.
pub fn send_to<S: CounterStore + 'static>(store: Arc<S>, function: &'static str, embedded: bool) {
    let add: Box<Add> = Box::new(move |token, counts| {
        let store = Arc::clone(&store);
        Box::pin(async move { store.add_counts(function, &token, &counts).await })
    });
    if DESTINATION.set(Destination { function, embedded, add }).is_err() {
        tracing::debug!(function, "counters are sent already");
    }
}

/// Sends the sums of this process to CloudWatch only: for a function that has no business with the table.
pub fn log_only(function: &'static str) {
    let add: Box<Add> = Box::new(|_, _| Box::pin(async { Ok(()) }));
    if DESTINATION.set(Destination { function, embedded: true, add }).is_err() {
        tracing::debug!(function, "counters are sent already");
    }
}

/// Sends the sums if a minute has passed, and telemetry. To be called when a call's work is done.
pub async fn send_if_due() {
    crate::telemetry::send_after_call().await;
    let (now, sent_at) = (SystemClock.now().as_millis(), SENT_AT.load(Ordering::Relaxed));
    let due = now.saturating_sub(sent_at) >= SEND_EVERY_MS;
    // Of many calls at once, one sends.
    if due && SENT_AT.compare_exchange(sent_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        send().await;
    }
}

/// Sends the sums now. What cannot be sent is kept for the next time.
pub async fn send() {
    let Some(destination) = DESTINATION.get() else {
        return;
    };
    let unsettled = UNSETTLED.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (token, counts) = unsettled.unwrap_or_else(|| (new_id(), take()));
    if counts.is_empty() {
        return;
    }
    if let Err(error) = (destination.add)(token.clone(), counts.clone()).await {
        tracing::warn!(error = with_causes(&error), "counters are not sent, and kept for the next time");
        UNSETTLED.lock().unwrap_or_else(PoisonError::into_inner).replace((token, counts));
        return;
    }
    if destination.embedded {
        write_embedded(destination.function, &counts);
    }
}

/// Everything counted since the last time.
fn take() -> Counts {
    let name = |place: usize| match NAMES.get(place) {
        Some(name) => (*name).to_owned(),
        None => latency_name(place.saturating_sub(NAMES.len())),
    };
    let counted = PENDING.iter().enumerate().map(|(place, pending)| (name(place), pending.swap(0, Ordering::Relaxed)));
    counted.filter(|(_, n)| *n > 0).collect()
}

/// One line in CloudWatch's embedded metric format, from which it makes metrics without being called.
fn write_embedded(function: &str, counts: &Counts) {
    let line = embedded(function, counts, SystemClock.now().as_millis());
    if let Err(error) = writeln!(std::io::stdout().lock(), "{line}") {
        tracing::warn!(%error, "the embedded metrics are not written");
    }
}

/// Writes a measure of this moment for CloudWatch, in Lambda only: what is not a sum, by a dimension of its own.
pub fn write_measure(name: &str, unit: &str, value: i64, dimension: (&str, &str)) {
    let Some(destination) = DESTINATION.get().filter(|destination| destination.embedded) else {
        return;
    };
    let line = embedded_measure(destination.function, (name, unit, value), dimension, SystemClock.now().as_millis());
    if let Err(error) = writeln!(std::io::stdout().lock(), "{line}") {
        tracing::warn!(%error, name, "the embedded measure {name} is not written");
    }
}

fn embedded_measure(
    function: &str,
    (name, unit, value): (&str, &str, i64),
    (dimension, of): (&str, &str),
    now_ms: i64,
) -> Value {
    let metrics = [json!({ "Name": name, "Unit": unit })];
    let about = json!({ "Namespace": NAMESPACE, "Dimensions": [["function", dimension]], "Metrics": metrics });
    json!({
        "_aws": { "Timestamp": now_ms, "CloudWatchMetrics": [about] },
        "function": function,
        dimension: of,
        name: value,
    })
}

fn embedded(function: &str, counts: &Counts, now_ms: i64) -> Value {
    let metrics: Vec<_> = counts.keys().map(|name| json!({ "Name": name, "Unit": "Count" })).collect();
    let about = json!({ "Namespace": NAMESPACE, "Dimensions": [["function"]], "Metrics": metrics });
    let mut line = Map::new();
    line.insert("_aws".to_owned(), json!({ "Timestamp": now_ms, "CloudWatchMetrics": [about] }));
    line.insert("function".to_owned(), json!(function));
    line.extend(counts.iter().map(|(name, n)| (name.clone(), json!(n))));
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_line_names_each_metric_that_it_carries() {
        let counts = Counts::from([("requests".to_owned(), 7), ("errors".to_owned(), 1)]);
        let line = embedded("webhook", &counts, 1_700_000_000_000);
        assert_eq!((line["requests"].as_u64(), line["function"].as_str()), (Some(7), Some("webhook")));
        let about = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(about["Dimensions"], json!([["function"]]));
        for metric in about["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_u64(), "{metric}");
        }
        assert_eq!(line["_aws"]["Timestamp"], 1_700_000_000_000_i64);
    }

    #[test]
    fn embedded_measure_stands_under_its_dimension() {
        let line = embedded_measure("warehouse-events", ("kafkaLagMs", "Milliseconds", 40), ("partition", "t-0"), 7);
        let about = json!({
            "Namespace": "Evenstock", "Dimensions": [["function", "partition"]],
            "Metrics": [{ "Name": "kafkaLagMs", "Unit": "Milliseconds" }],
        });
        let expected = json!({
            "_aws": { "Timestamp": 7, "CloudWatchMetrics": [about] },
            "function": "warehouse-events", "partition": "t-0", "kafkaLagMs": 40,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn exported_names_are_those_of_the_documents() {
        let names: Vec<_> = totals().into_iter().map(|metric| metric.name).collect();
        for name in ["inventory_updates_total", "request_latency_ms", "snapshot_write_bytes", "dlq_events_total"] {
            assert!(names.iter().any(|known| known == name), "{name} is not among {names:?}");
        }
    }

    #[test]
    fn every_latency_has_a_class() {
        assert_eq!(latency_name(0), "latency5");
        assert_eq!(latency_name(LATENCY_BOUNDS_MS.len()), "latencyMore");
    }
}
