//! Works on stores whose receipts are due: one message a store, in slices.
//!
//! A message is acknowledged once the store says what follows: nothing, another job, or a continuation that is queued.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use evenstock_app::{
    BreakerStore, Clock, MarketplaceStores, OrderDeps, OrderMarketplace, OrderPolicy, Queue, ReceiptStore, Sealer,
    StoreJob, SyncLimits, SyncOutcome, sync_store, with_causes,
};
use evenstock_runtime::metrics::{Counter, count};
use evenstock_runtime::{Batch, MissingMessageId, new_id};
use tracing::field::Empty;
use tracing::{error, info, info_span};

/// Receipts of one page.
const PAGE: u32 = 25;

/// How long one call begins new pages, in milliseconds: the last one still ends within the function's timeout.
const SLICE_MS: i64 = 45_000;

/// What the function needs.
#[derive(Debug)]
pub struct Worker<S, M, K, C, Q> {
    /// Stores, receipts and breakers.
    pub store: S,
    /// The marketplaces.
    pub marketplace: M,
    /// Opens the stores' secrets.
    pub sealer: K,
    /// Time.
    pub clock: C,
    /// Where continuations go.
    pub queue: Q,
    /// How the marketplaces are asked.
    pub policy: OrderPolicy,
    /// How long a store's lease holds, in milliseconds.
    pub lease_ms: i64,
}

/// Works on a batch of `store-sync`.
///
/// # Errors
/// [`MissingMessageId`] when a record cannot be named in the answer: the whole batch comes back.
pub async fn handle<S, M, K, C, Q>(
    worker: &Worker<S, M, K, C, Q>,
    event: SqsEvent,
) -> Result<SqsBatchResponse, MissingMessageId>
where
    S: MarketplaceStores + ReceiptStore + BreakerStore,
    M: OrderMarketplace,
    K: Sealer,
    C: Clock,
    Q: Queue,
{
    let mut batch = Batch::new(event)?;
    let (origins, mut failed) = (batch.origins(), Vec::new());
    for (place, (message_id, body)) in batch.records().enumerate() {
        let open = || info_span!("SyncStore", otel.kind = "consumer", message.id = message_id, trace_id = Empty);
        let work = Box::pin(work(worker, message_id, body));
        if let Err(reason) = origins.only(place).trace(open, work).await {
            error!(message.id = message_id, reason, "store job {message_id} failed and comes again");
            failed.push((place, reason));
        }
    }
    failed.into_iter().for_each(|(place, reason)| batch.fail_because(place, reason));
    Ok(batch.into_response())
}

async fn work<S, M, K, C, Q>(worker: &Worker<S, M, K, C, Q>, message_id: &str, body: &str) -> Result<(), String>
where
    S: MarketplaceStores + ReceiptStore + BreakerStore,
    M: OrderMarketplace,
    K: Sealer,
    C: Clock,
    Q: Queue,
{
    let id = StoreJob::store_of(body).map_err(|error| with_causes(&error))?;
    let Worker { store, marketplace, sealer, clock, queue, policy, lease_ms } = worker;
    let deps = OrderDeps { store, marketplace, sealer, clock, policy: *policy };
    let limits = SyncLimits { page: PAGE, slice_ms: SLICE_MS, lease_ms: *lease_ms };
    // Boxed: the futures of a page of receipts are nested deeply.
    let call = new_id();
    let synced = Box::pin(sync_store(deps, queue, &id, (message_id, &call), limits)).await;
    count(Counter::ImportedOrders, u64::from(synced.counters.success));
    count(Counter::RateLimitedReceipts, u64::from(synced.counters.rate_limited));
    let outcome = synced.outcome.map_err(|error| with_causes(&error))?;
    let name = match outcome {
        SyncOutcome::Completed => "completed",
        SyncOutcome::Failed(_) => "failed",
        SyncOutcome::HandedOn => "handed_on",
        SyncOutcome::NotLeased => "already_running",
        SyncOutcome::Unknown => return Err(format!("there is no store {id}")),
    };
    info!(storeId = %id, message.id = message_id, outcome = name, "job_completed");
    Ok(())
}
