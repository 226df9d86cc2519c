//! Does what is due, every minute: brings back the callbacks that wait, queues the stores whose receipts are to be asked
//! about, ends the reservations that ran out, and gives up those that were never finished. The switch of an organization's
//! periodic sync holds for its stores only: callbacks and reservations never wait for it.

use evenstock_app::{
    CallbackStore, Clock, MarketplaceStores, Queue, ReservationDeps, ReservationStore, StockStore, StoreError,
    SweepLimits, SwitchStore, enqueue_due_stores, requeue, sweep, with_causes,
};
use evenstock_domain::EventIdKey;
use serde_json::{Value, json};
use tracing::{error, info, instrument, warn};

/// Reservations of one page.
const PAGE: u32 = 50;

/// How long one call begins new work, in milliseconds: the last page still ends within the function's timeout.
const WORK_MS: i64 = 40_000;

/// When the duties that only need a message each must leave it to the next one: first callbacks, then stores.
const CALLBACKS_MS: i64 = 12_000;
const STORES_MS: i64 = 24_000;

/// What the function needs.
#[derive(Debug)]
pub struct Scheduler<S, Q, C> {
    /// Levels, reservations, marketplace stores and deliveries of callbacks.
    pub store: S,
    /// Where jobs and deliveries go whose time has come.
    pub queue: Q,
    /// Time.
    pub clock: C,
    /// Names events.
    pub ids: EventIdKey,
}

/// Why a call failed. What it left stays due for the next one.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The event is not a schedule's.
    #[error("the event is not from a schedule")]
    UnknownEvent,
    /// What is due cannot be listed.
    #[error("what is due cannot be listed")]
    Store(#[from] StoreError),
}

/// Handles a tick of the schedule.
///
/// # Errors
/// [`HandleError`]. A reservation that cannot be ended is none: it comes again.
#[instrument(name = "RunDue", skip_all)]
pub async fn handle<S, Q, C>(scheduler: &Scheduler<S, Q, C>, event: Value) -> Result<Value, HandleError>
where
    S: StockStore + ReservationStore + MarketplaceStores + SwitchStore + CallbackStore,
    Q: Queue,
    C: Clock,
{
    if event.get("source").and_then(Value::as_str) != Some("aws.events") {
        return Err(HandleError::UnknownEvent);
    }
    let Scheduler { store, queue, clock, ids } = scheduler;
    let begun = clock.now();
    // No flood takes another duty's time, and no failure keeps the others from being done: units of reservations that ran
    // out must not stay held because callbacks cannot be listed.
    // Each is boxed, because together they are a type deeper than the compiler follows.
    let callbacks = Box::pin(requeue(store, queue, clock, begun.plus_millis(CALLBACKS_MS))).await;
    match &callbacks {
        Ok(report) if report.queued > 0 || report.failed > 0 || !report.finished => info!(
            queued = report.queued,
            failed = report.failed,
            finished = report.finished,
            "callbacks that were due are queued"
        ),
        Ok(_) => {}
        Err(error) => error!(error = with_causes(error), "due callbacks cannot be listed"),
    }
    let limits = SweepLimits { page: PAGE, until: begun.plus_millis(STORES_MS) };
    let stores = Box::pin(enqueue_due_stores(store, queue, clock, limits)).await;
    let limits = SweepLimits { page: PAGE, until: begun.plus_millis(WORK_MS) };
    let report = Box::pin(sweep(ReservationDeps { store, clock, ids }, limits)).await?;
    if report.ended > 0 || report.failed > 0 {
        info!(ended = report.ended, failed = report.failed, "reservations that were due were ended");
    }
    if !report.finished {
        warn!(ended = report.ended, "more reservations are due than one call can end");
    }
    let callbacks = callbacks?;
    let stores = stores.inspect_err(|error| error!(error = with_causes(error), "due stores cannot be listed"))?;
    Ok(json!({
        "ended": report.ended,
        "failed": report.failed.saturating_add(stores.failed),
        "finished": report.finished && stores.finished,
        "scannedStores": stores.scanned_stores,
        "enqueuedJobs": stores.enqueued_jobs,
        "callbacks": { "queued": callbacks.queued, "failed": callbacks.failed, "finished": callbacks.finished },
    }))
}

#[cfg(test)]
mod tests;
