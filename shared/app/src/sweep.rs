//! Ending the reservations that ran out, and those that were never finished.
//!
//! Asks all groups of the index of due reservations at once, and then works on them group by group and page by page. What
//! it leaves, because it ran out of time or was killed, stays due for the next run.

use evenstock_domain::{ActorCode, Timestamp};
use futures::StreamExt;
use tracing::warn;

use crate::due::ask_all;
use crate::{
    Clock, DueReservation, ReservationDeps, ReservationStore, SettleResult, Settlement, StockStore, StoreError,
    settle_reservation, with_causes,
};

/// Reservations that are ended at once.
const AT_ONCE: usize = 8;

/// How much one run may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepLimits {
    /// Reservations of one page.
    pub page: u32,
    /// No page is worked on that would be begun after this time.
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

/// Ends what is due. A reservation that fails does not hold up the others, and neither does a group that cannot be listed.
///
/// # Errors
/// [`StoreError`] when what is due in a group cannot be listed; the other groups were served.
pub async fn sweep<S, C>(deps: ReservationDeps<'_, S, C>, limits: SweepLimits) -> Result<SweepReport, StoreError>
where
    S: StockStore + ReservationStore,
    C: Clock,
{
    let ReservationDeps { store, clock, .. } = deps;
    let started = clock.now();
    let mut report = SweepReport { finished: true, ..SweepReport::default() };
    let mut unlisted = None;
    if started >= limits.until {
        return Ok(SweepReport::default());
    }
    for (bucket, first) in ask_all(started, |bucket| store.due_reservations(bucket, started, limits.page, None)).await {
        let mut listed = first;
        loop {
            let page = match listed {
                Ok(page) => page,
                Err(error) => {
                    unlisted.get_or_insert(error);
                    break;
                }
            };
            if page.due.is_empty() {
                break;
            }
            if clock.now() >= limits.until {
                report.finished = false;
                break;
            }
            end_all(deps, &page.due, &mut report).await;
            let Some(after) = page.due.last().filter(|_| page.more) else { break };
            listed = store.due_reservations(bucket, started, limits.page, Some(after)).await;
        }
    }
    unlisted.map_or(Ok(report), Err)
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
