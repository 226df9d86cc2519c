//! What the deployment did and how it stands: sums of all instances' counters, and what is read at the moment.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Json, Response};
use evenstock_app::{AdminAction, Clock, Counts, PartitionRead, Queue};
use evenstock_domain::{Breaker, Timestamp};
use evenstock_runtime::SystemClock;
use evenstock_runtime::http::{ApiError, Caller};
use evenstock_runtime::metrics::{InWork, send};
use futures::future::try_join_all;
use serde::Serialize;
use utoipa::ToSchema;

use crate::health::{QueueBody, breakers, sources, state};
use crate::prometheus::{self, exposition};
use crate::{Operations, OperationsStore, Shared};

/// Failing breakers of stores and warehouses that one answer lists: an outage of a marketplace opens those of all its
/// stores, and a hundred of them say as much as thousands.
const BREAKERS_MAX: u32 = 100;

/// The metrics.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MetricsBody {
    success: bool,
    data: Metrics,
}

/// Counters are sums over all instances since the last reset, at most a minute old; the rest is as of now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metrics {
    /// Requests answered.
    pub(crate) requests: u64,
    /// Requests answered with a status of 500 or more.
    pub(crate) errors: u64,
    /// Requests refused with 409.
    pub(crate) conflicts: u64,
    /// Requests recognized by their idempotency key.
    pub(crate) idempotent_hits: u64,
    /// Requests refused with 429 by an instance; the gateway counts its own.
    pub(crate) rate_limited: u64,
    /// Requests turned away because too much waits.
    pub(crate) shed: u64,
    pub(crate) adjust_stock: u64,
    pub(crate) reserve_stock: u64,
    pub(crate) get_inventory: u64,
    pub(crate) sync_operations: u64,
    /// Stock events that were applied.
    pub(crate) inventory_updates: u64,
    /// Messages and records that were given up.
    pub(crate) dlq_events: u64,
    pub(crate) orders: OrderCountsBody,
    pub(crate) callbacks: CallbackCountsBody,
    pub(crate) warehouses: WarehouseCountsBody,
    /// Always those of the polled marketplace and of the central system. Those of the organization's stores and
    /// warehouses, for an operator of all organizations', while they have failures or are not closed.
    pub(crate) circuit_breakers: BTreeMap<String, BreakerBody>,
    /// Whether more than 100 stores and warehouses fail, and the others are not listed. Open breakers come first.
    pub(crate) more_circuit_breakers: bool,
    pub(crate) bulkheads: BTreeMap<String, BulkheadBody>,
    pub(crate) queues: BTreeMap<String, QueueBody>,
    pub(crate) feed: FeedBody,
    pub(crate) polls: BTreeMap<String, PollBody>,
    /// Partitions of Kafka's topics, by topic and number (`warehouse.public.stock-0`). Empty where changes come by the queue.
    pub(crate) kafka: BTreeMap<String, PartitionBody>,
    timestamp: String,
    /// Seconds since this process started.
    pub(crate) uptime: i64,
    /// All counters by function and name.
    #[serde(skip)]
    pub(crate) counts: BTreeMap<String, Counts>,
}

/// What became of receipts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderCountsBody {
    /// Orders that a marketplace confirmed.
    pub(crate) imported: u64,
    /// Answers of marketplaces that want to be asked later.
    pub(crate) rate_limited: u64,
}

/// What became of callbacks.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallbackCountsBody {
    /// Calls that arrived.
    pub(crate) succeeded: u64,
    /// Deliveries that were given up.
    pub(crate) failed: u64,
    /// Calls that failed and are made again.
    pub(crate) retried: u64,
}

/// What became of the changes of warehouses, and of their reconciliations.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WarehouseCountsBody {
    /// Changes that were applied.
    pub(crate) applied: u64,
    /// Changes that were known, or older than what is known.
    pub(crate) stale: u64,
    /// Changes that contradict what we know.
    pub(crate) conflicts: u64,
    /// Warehouses that were compared with our stock to the end.
    pub(crate) reconciliations: u64,
    /// Comparisons that ended without it.
    pub(crate) reconciliations_failed: u64,
    /// Levels that a comparison set right.
    pub(crate) drift_repaired: u64,
}

/// How far a partition has been read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartitionBody {
    #[serde(skip)]
    pub(crate) topic: String,
    #[serde(skip)]
    pub(crate) partition: i64,
    /// The newest record that was read, or the first one that cannot be settled.
    pub(crate) offset: i64,
    /// Whether that record is settled. If not, its batch comes again and again until it is.
    pub(crate) settled: bool,
    /// How long that record had waited when it was settled, or has waited until now, in milliseconds; `null` when the
    /// broker does not say when it was written.
    pub(crate) lag_ms: Option<i64>,
    /// When the last batch ended.
    seen_at: String,
    /// How long nothing has come since then, in milliseconds.
    pub(crate) silent_ms: i64,
}

/// A circuit breaker.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BreakerBody {
    /// `closed`, `open` or `half-open`.
    pub(crate) state: &'static str,
    /// Failures in a row.
    pub(crate) failures: u32,
    /// `null` while it is closed.
    open_until: Option<String>,
}

/// A bound on work done at a time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BulkheadBody {
    /// Calls at a time at most; `null` when nothing bounds them but the account.
    pub(crate) limit: Option<u64>,
    /// `http`: requests in this process. Queues: messages received and not yet settled.
    pub(crate) in_use: u64,
}

/// The organization's change feed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FeedBody {
    /// The newest number.
    pub(crate) head: u64,
    /// How long the newest change waited for its number, in milliseconds; `null` before the first.
    pub(crate) lag_ms: Option<i64>,
}

/// A poll.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PollBody {
    /// Runs begun.
    pub(crate) runs: u64,
    /// Rows changed since then are read next; `null` before the first.
    cursor: Option<String>,
    due_at: Option<String>,
    /// How long it is overdue, in milliseconds.
    pub(crate) lag_ms: i64,
}

/// That it was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResetBody {
    success: bool,
    message: &'static str,
}

/// `GET /api/metrics`, `GET /api/health/metrics`: JSON, or Prometheus' text for who accepts `text/plain`.
pub(crate) async fn show<S: OperationsStore, Q: Queue>(
    State(operations): Shared<S, Q>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    // What this process counted belongs to the answer.
    send().await;
    let metrics = read(&operations, &caller, SystemClock.now()).await?;
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/plain") && !accepts.contains("application/json") {
        return Ok(([(CONTENT_TYPE, prometheus::CONTENT_TYPE)], exposition(&metrics)).into_response());
    }
    Ok(Json(MetricsBody { success: true, data: metrics }).into_response())
}

/// `POST /api/metrics/reset`.
pub(crate) async fn reset<S: OperationsStore, Q: Queue>(
    State(operations): Shared<S, Q>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<ResetBody>, ApiError> {
    if !operations.settings.resettable {
        return Err(ApiError::forbidden("counters of production are never set back"));
    }
    let (asks, action) = (caller.asks_once(SystemClock.now()), AdminAction::MetricsReset);
    asks.write_down(&*operations.store, &caller.organization, action, "counters", String::new()).await?;
    send().await;
    operations.store.reset_counts().await?;
    Ok(Json(ResetBody { success: true, message: "counters are set back" }))
}

async fn read<S: OperationsStore, Q: Queue>(
    operations: &Operations<S, Q>,
    caller: &Caller,
    now: Timestamp,
) -> Result<Metrics, ApiError> {
    let counts = operations.store.all_counts().await?;
    let sum = |name: &str| counts.values().filter_map(|counts| counts.get(name)).sum();
    let http = BulkheadBody { limit: operations.settings.http_limit, in_use: InWork::now() };
    let (mut queues, mut bulkheads) = (BTreeMap::new(), BTreeMap::from([("http".to_owned(), http)]));
    let all = &operations.settings.bulkheads;
    let depths = try_join_all(all.iter().map(|bulkhead| operations.queue.depth(bulkhead.queue))).await?;
    for (bulkhead, depth) in all.iter().zip(depths) {
        let body = QueueBody { waiting: depth.waiting, in_flight: depth.in_flight, dead: depth.dead };
        queues.insert(bulkhead.name.to_owned(), body);
        let body = BulkheadBody { limit: Some(bulkhead.limit), in_use: depth.in_flight };
        bulkheads.insert(bulkhead.name.to_owned(), body);
    }
    let (circuit_breakers, more_circuit_breakers) = circuit_breakers(operations, caller, now).await?;
    Ok(Metrics {
        requests: sum("requests"),
        errors: sum("errors"),
        conflicts: sum("conflicts"),
        idempotent_hits: sum("idempotentHits"),
        rate_limited: sum("rateLimited"),
        shed: sum("shed"),
        adjust_stock: sum("adjustStock"),
        reserve_stock: sum("reserveStock"),
        get_inventory: sum("getInventory"),
        sync_operations: sum("syncOperations"),
        inventory_updates: sum("inventoryUpdates"),
        dlq_events: sum("dlqEvents"),
        orders: OrderCountsBody { imported: sum("importedOrders"), rate_limited: sum("rateLimitedReceipts") },
        callbacks: CallbackCountsBody {
            succeeded: sum("callbacksSucceeded"),
            failed: sum("callbacksFailed"),
            retried: sum("callbacksRetried"),
        },
        warehouses: WarehouseCountsBody {
            applied: sum("warehouseChangesApplied"),
            stale: sum("warehouseChangesStale"),
            conflicts: sum("warehouseConflicts"),
            reconciliations: sum("reconciliations"),
            reconciliations_failed: sum("reconciliationsFailed"),
            drift_repaired: sum("driftRepaired"),
        },
        circuit_breakers,
        more_circuit_breakers,
        bulkheads,
        queues,
        feed: feed(operations, caller, now).await?,
        polls: polls(operations, now).await?,
        kafka: partitions(operations, now).await?,
        timestamp: now.to_string(),
        uptime: operations.settings.uptime_s(now),
        counts,
    })
}

/// The breakers that belong to everybody, and those that fail of the caller's stores and warehouses; whether there are
/// more of the latter.
async fn circuit_breakers<S: OperationsStore, Q>(
    operations: &Operations<S, Q>,
    caller: &Caller,
    now: Timestamp,
) -> Result<(BTreeMap<String, BreakerBody>, bool), ApiError> {
    let organization = (!caller.key.operator).then_some(&caller.organization);
    let failing = operations.store.failing_breakers(organization, BREAKERS_MAX).await?;
    let mut all: BTreeMap<_, _> =
        failing.breakers.into_iter().map(|(name, breaker)| (name.to_string(), breaker)).collect();
    // These were read by name, so they are never older than what an index led to.
    all.extend(breakers(operations).await?);
    let body = |(name, breaker): (String, Breaker)| {
        let open_until = breaker.open_until.map(|until| until.to_string());
        (name, BreakerBody { state: state(&breaker, now), failures: breaker.failures, open_until })
    };
    Ok((all.into_iter().map(body).collect(), failing.more))
}

async fn feed<S: OperationsStore, Q>(
    operations: &Operations<S, Q>,
    caller: &Caller,
    now: Timestamp,
) -> Result<FeedBody, ApiError> {
    let tail = operations.store.feed_tail(&caller.organization, 1).await?;
    let lag = tail.newest().and_then(|page| Some(page.appended_at.millis_since(page.changes.last()?.at).max(0)));
    Ok(FeedBody { head: tail.head(now), lag_ms: lag })
}

async fn partitions<S: OperationsStore, Q>(
    operations: &Operations<S, Q>,
    now: Timestamp,
) -> Result<BTreeMap<String, PartitionBody>, ApiError> {
    let body = |read: PartitionRead| {
        let body = PartitionBody {
            offset: read.offset,
            settled: read.settled,
            lag_ms: read.lag_ms(now),
            seen_at: read.seen_at.to_string(),
            silent_ms: now.millis_since(read.seen_at).max(0),
            topic: read.topic,
            partition: read.partition,
        };
        (format!("{}-{}", body.topic, body.partition), body)
    };
    Ok(operations.store.partitions().await?.into_iter().map(body).collect())
}

async fn polls<S: OperationsStore, Q>(
    operations: &Operations<S, Q>,
    now: Timestamp,
) -> Result<BTreeMap<String, PollBody>, ApiError> {
    let mut polls = BTreeMap::new();
    for source in sources(operations) {
        let status = operations.store.poll_status(&source).await?;
        let body = PollBody {
            runs: status.runs,
            cursor: status.cursor.map(|time| time.to_string()),
            due_at: status.due.map(|time| time.to_string()),
            lag_ms: status.due.map_or(0, |due| now.millis_since(due).max(0)),
        };
        polls.insert(source.to_string(), body);
    }
    Ok(polls)
}
