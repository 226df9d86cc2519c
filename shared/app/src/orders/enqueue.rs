//! Queueing a job for every store that is due: one a store, whoever ticks at once.
//!
//! The store notes its job before it is sent. A job that was noted and never sent, or lost, is sent again after a while.

use evenstock_domain::{DUE_BUCKETS, OrganizationId, StoreSync, Timestamp};
use tracing::{info, warn};

use super::watch::{Stepped, step_store};
use super::{DueStore, MarketplaceStore, MarketplaceStores, StoreJob};
use crate::{Clock, Queue, QueueName, StoreError, SweepLimits, with_causes};

/// What one tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EnqueueReport {
    /// Stores that were due.
    pub scanned_stores: u32,
    /// Jobs sent.
    pub enqueued_jobs: u32,
    /// Stores that could not be queued, and come again.
    pub failed: u32,
    /// Whether every store that was due was looked at.
    pub finished: bool,
}

/// Queues a job for every store that is due. A store that fails does not hold up the others.
///
/// # Errors
/// [`StoreError`] when what is due cannot be listed.
pub async fn enqueue_due_stores<S, Q, C>(
    store: &S,
    queue: &Q,
    clock: &C,
    limits: SweepLimits,
) -> Result<EnqueueReport, StoreError>
where
    S: MarketplaceStores,
    Q: Queue,
    C: Clock,
{
    let now = clock.now();
    let mut report = EnqueueReport::default();
    for bucket in 0..DUE_BUCKETS {
        let mut after: Option<DueStore> = None;
        loop {
            if clock.now() >= limits.until {
                return Ok(tell(report));
            }
            let page = store.due_stores(bucket, now, limits.page, after.as_ref()).await?;
            for due in &page.due {
                report.scanned_stores = report.scanned_stores.saturating_add(1);
                match enqueue(store, queue, clock, due).await {
                    Ok(true) => report.enqueued_jobs = report.enqueued_jobs.saturating_add(1),
                    Ok(false) => {}
                    Err(error) => {
                        report.failed = report.failed.saturating_add(1);
                        warn!(store.id = %due.id, error, "a store that is due could not be queued and comes again");
                    }
                }
            }
            after = page.due.last().cloned();
            if !page.more || after.is_none() {
                break;
            }
        }
    }
    Ok(tell(EnqueueReport { finished: true, ..report }))
}

fn tell(report: EnqueueReport) -> EnqueueReport {
    if report.scanned_stores > 0 {
        info!(scannedStores = report.scanned_stores, enqueuedJobs = report.enqueued_jobs, "sync_scheduler");
    }
    report
}

/// Whether a job was sent. A tick whose write has an unknown outcome may send a second one, which finds the store taken.
async fn enqueue<S, Q, C>(store: &S, queue: &Q, clock: &C, due: &DueStore) -> Result<bool, String>
where
    S: MarketplaceStores,
    Q: Queue,
    C: Clock,
{
    let queued = step_store(store, clock, &due.id, None, |current, now: Timestamp| {
        let sync: StoreSync = current.sync.queued(now)?;
        Some(MarketplaceStore { sync, ..current.clone() })
    });
    match queued.await.map_err(|error| with_causes(&error))? {
        Stepped::Written(queued) => {
            let organization: &OrganizationId = &queued.organization;
            let message = StoreJob::message(&due.id, organization).map_err(|error| with_causes(&error))?;
            queue.send(QueueName::StoreSync, vec![message]).await.map_err(|error| with_causes(&error))?;
            Ok(true)
        }
        Stepped::Unchanged(_) | Stepped::Unknown => Ok(false),
    }
}
