//! Does what is due, every minute. For now it ends the reservations that ran out, and gives up those that were never
//! finished.

use evenstock_app::{Clock, ReservationDeps, ReservationStore, StockStore, StoreError, SweepLimits, sweep};
use evenstock_domain::EventIdKey;
use serde_json::{Value, json};
use tracing::{info, warn};

/// Reservations of one page.
const PAGE: u32 = 50;

/// How long one call begins new work, in milliseconds: the last page still ends within the function's timeout.
const WORK_MS: i64 = 40_000;

/// What the function needs.
#[derive(Debug)]
pub struct Scheduler<S, C> {
    /// Levels and reservations.
    pub store: S,
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
pub async fn handle<S, C>(scheduler: &Scheduler<S, C>, event: Value) -> Result<Value, HandleError>
where
    S: StockStore + ReservationStore,
    C: Clock,
{
    if event.get("source").and_then(Value::as_str) != Some("aws.events") {
        return Err(HandleError::UnknownEvent);
    }
    let Scheduler { store, clock, ids } = scheduler;
    let limits = SweepLimits { page: PAGE, until: clock.now().plus_millis(WORK_MS) };
    let report = sweep(ReservationDeps { store, clock, ids }, limits).await?;
    if report.ended > 0 || report.failed > 0 {
        info!(ended = report.ended, failed = report.failed, "reservations that were due were ended");
    }
    if !report.finished {
        warn!(ended = report.ended, "more reservations are due than one call can end");
    }
    Ok(json!({ "ended": report.ended, "failed": report.failed, "finished": report.finished }))
}

#[cfg(test)]
mod tests;
