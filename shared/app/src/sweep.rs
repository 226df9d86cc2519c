//! Ending the reservations that ran out, and those that were never finished.
//!
//! Reads the index of due reservations group by group and page by page. What it leaves, because it ran out of time or
//! was killed, stays due for the next run.

use evenstock_domain::{ActorCode, DUE_BUCKETS, Timestamp};
use futures::StreamExt;
use tracing::warn;

use crate::{
    Clock, DueReservation, ReservationDeps, ReservationStore, SettleResult, Settlement, StockStore, StoreError,
    settle_reservation, with_causes,
};

/// Reservations that are ended at once.
const AT_ONCE: usize = 8;

/// Groups before the one that a run begins with, for each minute: a flood in one group delays each of the others once,
/// not always the same.
const MINUTE_MS: i64 = 60_000;

/// How much one run may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepLimits {
    /// Reservations of one page.
    pub page: u32,
    /// No page is begun after this time.
    pub until: Timestamp,
}

/// What one run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweepReport {
    /// Reservations that came to their end here.
    pub ended: u32,
    /// Reservations that could not be ended, and come again.
    pub failed: u32,
    /// Whether everything that was due was looked at.
    pub finished: bool,
}

/// Ends what is due. A reservation that fails does not hold up the others.
///
/// # Errors
/// [`StoreError`] when what is due cannot be listed.
pub async fn sweep<S, C>(deps: ReservationDeps<'_, S, C>, limits: SweepLimits) -> Result<SweepReport, StoreError>
where
    S: StockStore + ReservationStore,
    C: Clock,
{
    let started = deps.clock.now();
    let first = u8::try_from((started.as_millis() / MINUTE_MS) % i64::from(DUE_BUCKETS)).unwrap_or_default();
    let mut report = SweepReport::default();
    for place in 0..DUE_BUCKETS {
        let mut after: Option<DueReservation> = None;
        loop {
            if deps.clock.now() >= limits.until {
                return Ok(report);
            }
            let bucket = (first + place) % DUE_BUCKETS;
            let page = deps.store.due_reservations(bucket, started, limits.page, after.as_ref()).await?;
            end_all(deps, &page.due, &mut report).await;
            after = page.due.last().cloned();
            if !page.more || after.is_none() {
                break;
            }
        }
    }
    Ok(SweepReport { finished: true, ..report })
}

async fn end_all<S, C>(deps: ReservationDeps<'_, S, C>, due: &[DueReservation], report: &mut SweepReport)
where
    S: StockStore + ReservationStore,
    C: Clock,
{
    let mut work = Vec::with_capacity(due.len());
    for DueReservation { organization, id, .. } in due {
        work.push(settle_reservation(deps, organization, id, Settlement::Expire, ActorCode::default()));
    }
    let mut ended = futures::stream::iter(work).buffer_unordered(AT_ONCE);
    while let Some(result) = ended.next().await {
        match result {
            Ok(SettleResult::Settled { .. }) => report.ended = report.ended.saturating_add(1),
            // Somebody else was faster, or it was extended after the index was read.
            Ok(SettleResult::Conflict { .. } | SettleResult::Unknown) => {}
            Err(error) => {
                report.failed = report.failed.saturating_add(1);
                warn!(error = with_causes(&error), "a reservation that is due could not be ended and comes again");
            }
        }
    }
}
