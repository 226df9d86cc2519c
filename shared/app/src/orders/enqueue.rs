//! Queueing a job for every store that is due: one a store, whoever ticks at once.
//!
//! The store notes its job before it is sent. A job that was noted and never sent, or lost, is sent again after a while.
//! A schedule passes by organizations whose periodic sync is switched off: their stores stay due until it is on again.

use std::collections::BTreeMap;

use evenstock_domain::{OrganizationId, StoreSync, Timestamp};
use tracing::{info, warn};

use super::watch::{Stepped, step_store};
use super::{DueStore, MarketplaceStore, MarketplaceStores, StoreJob};
use crate::due::ask_all;
use crate::{Clock, Queue, QueueName, StoreError, SweepLimits, SwitchStore, with_causes};

/// What one tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EnqueueReport {
    /// Stores that were due, without those that were passed by.
    pub scanned_stores: u32,
    /// Jobs sent.
    pub enqueued_jobs: u32,
    /// Stores that could not be queued, and come again.
    pub failed: u32,
    /// Whether every store that was due was looked at.
    pub finished: bool,
}

/// Whose stores are queued.
enum Whose<'a> {
    /// Everybody's whose switch is on. Holds the switches that were read, or why one could not be.
    SwitchedOn(BTreeMap<OrganizationId, Result<bool, String>>),
    /// This organization's, whatever its switch says: somebody asked.
    Of(&'a OrganizationId),
}

impl Whose<'_> {
    /// Whether the organization's stores are queued. Its switch is read once.
    async fn include<S: SwitchStore>(&mut self, store: &S, organization: &OrganizationId) -> Result<bool, String> {
        match self {
            Self::Of(asked) => Ok(*asked == organization),
            Self::SwitchedOn(switches) => {
                if let Some(known) = switches.get(organization) {
                    return known.clone();
                }
                let switch = store.load_switch(organization).await;
                let on = switch.map(|switch| switch.on).map_err(|error| with_causes(&error));
                switches.insert(organization.clone(), on.clone());
                on
            }
        }
    }
}

/// What became of a store that was listed as due.
enum Looked {
    /// Its job was sent.
    Queued,
    /// Nothing was to be done: its job is on its way, or it is due no more.
    Idle,
    /// It is not among those that are asked for.
    PassedBy,
}

/// Queues a job for every store that is due and whose organization's periodic sync is on. A store that fails does not
/// hold up the others, and neither does a group that cannot be listed.
///
/// # Errors
/// [`StoreError`] when what is due in a group cannot be listed; the stores of the other groups were queued.
pub async fn enqueue_due_stores<S, Q, C>(
    store: &S,
    queue: &Q,
    clock: &C,
    limits: SweepLimits,
) -> Result<EnqueueReport, StoreError>
where
    S: MarketplaceStores + SwitchStore,
    Q: Queue,
    C: Clock,
{
    let report = enqueue_all((store, queue, clock), Whose::SwitchedOn(BTreeMap::new()), limits).await?;
    if report.scanned_stores > 0 {
        info!(scannedStores = report.scanned_stores, enqueuedJobs = report.enqueued_jobs, "sync_scheduler");
    }
    Ok(report)
}

/// Queues a job for every store of one organization that is due, whatever its switch says. Looks at the stores of all to
/// find them: nothing lists the due ones of one organization.
///
/// # Errors
/// [`StoreError`] when what is due in a group cannot be listed; the stores of the other groups were queued.
pub async fn enqueue_due_stores_of<S, Q, C>(
    store: &S,
    queue: &Q,
    clock: &C,
    organization: &OrganizationId,
    limits: SweepLimits,
) -> Result<EnqueueReport, StoreError>
where
    S: MarketplaceStores + SwitchStore,
    Q: Queue,
    C: Clock,
{
    enqueue_all((store, queue, clock), Whose::Of(organization), limits).await
}

async fn enqueue_all<S, Q, C>(
    (store, queue, clock): (&S, &Q, &C),
    mut whose: Whose<'_>,
    limits: SweepLimits,
) -> Result<EnqueueReport, StoreError>
where
    S: MarketplaceStores + SwitchStore,
    Q: Queue,
    C: Clock,
{
    let now = clock.now();
    if now >= limits.until {
        return Ok(EnqueueReport::default());
    }
    let mut report = EnqueueReport { finished: true, ..EnqueueReport::default() };
    let mut unlisted = None;
    for (bucket, first) in ask_all(now, |bucket| store.due_stores(bucket, now, limits.page, None)).await {
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
            for due in &page.due {
                let looked = enqueue((store, queue, clock), &mut whose, due).await;
                report.add(due, looked);
            }
            let Some(after) = page.due.last().filter(|_| page.more) else { break };
            listed = store.due_stores(bucket, now, limits.page, Some(after)).await;
        }
    }
    unlisted.map_or(Ok(report), Err)
}

impl EnqueueReport {
    fn add(&mut self, due: &DueStore, looked: Result<Looked, String>) {
        let (enqueued, failed) = match looked {
            Ok(Looked::PassedBy) => return,
            Ok(Looked::Queued) => (1, 0),
            Ok(Looked::Idle) => (0, 0),
            Err(error) => {
                warn!(store.id = %due.id, error, "a store that is due could not be queued and comes again");
                (0, 1)
            }
        };
        self.scanned_stores = self.scanned_stores.saturating_add(1);
        self.enqueued_jobs = self.enqueued_jobs.saturating_add(enqueued);
        self.failed = self.failed.saturating_add(failed);
    }
}

/// A tick whose write has an unknown outcome may send a second job, which finds the store taken.
async fn enqueue<S, Q, C>(
    (store, queue, clock): (&S, &Q, &C),
    whose: &mut Whose<'_>,
    due: &DueStore,
) -> Result<Looked, String>
where
    S: MarketplaceStores + SwitchStore,
    Q: Queue,
    C: Clock,
{
    let Some(stored) = store.load_store(&due.id).await.map_err(|error| with_causes(&error))? else {
        return Ok(Looked::Idle);
    };
    if !whose.include(store, &stored.store.organization).await? {
        return Ok(Looked::PassedBy);
    }
    let queued = step_store(store, clock, &due.id, Some(stored), |current, now: Timestamp| {
        let sync: StoreSync = current.sync.queued(now)?;
        Some(MarketplaceStore { sync, ..current.clone() })
    });
    match queued.await.map_err(|error| with_causes(&error))? {
        Stepped::Written(queued) => {
            let organization: &OrganizationId = &queued.organization;
            let message = StoreJob::message(&due.id, organization).map_err(|error| with_causes(&error))?;
            queue.send(QueueName::StoreSync, vec![message]).await.map_err(|error| with_causes(&error))?;
            Ok(Looked::Queued)
        }
        Stepped::Unchanged(_) | Stepped::Unknown => Ok(Looked::Idle),
    }
}
