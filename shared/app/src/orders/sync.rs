//! Working on a store: every receipt that is due is asked about, in slices, until none is left.
//!
//! A job takes the store's lease, so that two jobs do not do the same work; what keeps each receipt right is its own
//! claim. A job that is killed leaves its receipts claimed until the claims lapse, and the store watched.

use core::sync::atomic::{AtomicBool, Ordering};

use evenstock_domain::{
    CallResult, Claimed, ReceiptError, ReceiptId, ReceiptState, RunEnd, Seen, StoreId, StoreSync, SyncCounters,
    SyncRun, Timestamp,
};
use futures::StreamExt;
use tracing::{error, info, warn};

use super::import::{OrderDeps, OrderError, ask, keep};
use super::watch::{Moved, Stepped, Wanted, step_receipt, step_store};
use super::{DueReceipt, MarketplaceStore, MarketplaceStores, ReceiptStore, StoreJob};
use crate::{
    BreakerStore, Clock, MarketplaceAccount, OrderMarketplace, Queue, QueueName, Sealer, StoreError, with_causes,
};

/// Receipts of one store that are asked about at once: few, because a marketplace counts calls.
const AT_ONCE: usize = 4;

/// How much one job may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncLimits {
    /// Receipts of one page.
    pub page: u32,
    /// No receipt is begun later than this, in milliseconds.
    pub slice_ms: i64,
    /// How long the store's lease holds, in milliseconds.
    pub lease_ms: i64,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncOutcome {
    /// Everything that was due was asked about.
    Completed,
    /// The marketplace cannot be asked before then.
    Failed(Timestamp),
    /// Its time was up; a continuation is queued.
    HandedOn,
    /// Another job has the store, or has taken it meanwhile.
    NotLeased,
    /// There is no such store.
    Unknown,
}

/// What a job came to.
#[derive(Debug)]
pub struct StoreSynced {
    /// Receipts that were answered, also when the job did not end well.
    pub counters: SyncCounters,
    /// How it ended, or why our own parts failed. The lease is given back then if that can be done; the message should
    /// come again.
    pub outcome: Result<SyncOutcome, OrderError>,
}

/// What became of one receipt.
enum Asked {
    Answered(ReceiptState, Option<ReceiptError>),
    NotMade(Timestamp),
    /// There is no time left for it, or the page is to end.
    Postponed,
    /// Somebody else has it, or it is due no more.
    Skipped,
}

/// What came of a page of receipts.
#[derive(Default)]
struct Page {
    counters: SyncCounters,
    /// Until when the marketplace is better not asked any more.
    stopped: Option<Timestamp>,
    /// Whether some were not begun.
    postponed: bool,
}

/// Works on a store. `owner` names the message that asks for it, the same for each of its deliveries; `call` names this
/// delivery, as no other is named.
pub async fn sync_store<S, M, K, C, Q>(
    deps: OrderDeps<'_, S, M, K, C>,
    queue: &Q,
    id: &StoreId,
    names: (&str, &str),
    limits: SyncLimits,
) -> StoreSynced
where
    S: MarketplaceStores + ReceiptStore + BreakerStore,
    M: OrderMarketplace,
    K: Sealer,
    C: Clock,
    Q: Queue,
{
    let mut counters = SyncCounters::default();
    let outcome = sync_leased(deps, queue, id, names, limits, &mut counters).await;
    StoreSynced { counters, outcome }
}

async fn sync_leased<S, M, K, C, Q>(
    deps: OrderDeps<'_, S, M, K, C>,
    queue: &Q,
    id: &StoreId,
    (owner, call): (&str, &str),
    limits: SyncLimits,
    counters: &mut SyncCounters,
) -> Result<SyncOutcome, OrderError>
where
    S: MarketplaceStores + ReceiptStore + BreakerStore,
    M: OrderMarketplace,
    K: Sealer,
    C: Clock,
    Q: Queue,
{
    let leased = step(deps, id, |sync, now| sync.leased(owner, now, limits.lease_ms)).await?;
    let leased = match leased {
        Stepped::Written(leased) => *leased,
        Stepped::Unchanged(_) => return Ok(SyncOutcome::NotLeased),
        Stepped::Unknown => return Ok(SyncOutcome::Unknown),
    };
    let job = Job { deps, id, owner, call, limits, started: deps.clock.now() };
    let worked = match job.work(leased, counters).await {
        Ok(Some(End::Run(end, run))) => job.finish(end, run.as_ref()).await,
        Ok(Some(End::Slice(run, organization))) => match job.hand_on(&run).await {
            Ok(SyncOutcome::HandedOn) => {
                queue.send(QueueName::StoreSync, vec![StoreJob::message(id, &organization)?]).await?;
                Ok(SyncOutcome::HandedOn)
            }
            other => other,
        },
        Ok(None) => Ok(SyncOutcome::NotLeased),
        Err(failure) => Err(failure),
    };
    if worked.is_err()
        && let Err(error) = step(deps, id, |sync, _| sync.given_up(owner)).await
    {
        warn!(store.id = %id, error = with_causes(&error), "the lease of {id} was not given back and must run out");
    }
    worked
}

async fn step<S, M, K, C>(
    deps: OrderDeps<'_, S, M, K, C>,
    id: &StoreId,
    change: impl Fn(&StoreSync, Timestamp) -> Option<StoreSync> + Send + Sync,
) -> Result<Stepped, StoreError>
where
    S: MarketplaceStores,
    C: Clock,
{
    step_store(deps.store, deps.clock, id, None, |current, now| {
        Some(MarketplaceStore { sync: change(&current.sync, now)?, ..current.clone() })
    })
    .await
}

/// Where a job's work stops.
enum End {
    /// The run is over.
    Run(RunEnd, Option<SyncRun>),
    /// The slice is.
    Slice(SyncRun, evenstock_domain::OrganizationId),
}

struct Job<'a, S, M, K, C> {
    deps: OrderDeps<'a, S, M, K, C>,
    id: &'a StoreId,
    owner: &'a str,
    call: &'a str,
    limits: SyncLimits,
    started: Timestamp,
}

impl<S, M, K, C> Job<'_, S, M, K, C>
where
    S: MarketplaceStores + ReceiptStore + BreakerStore,
    M: OrderMarketplace,
    K: Sealer,
    C: Clock,
{
    /// Asks about what is due, page by page. `None` when the store was lost to another job.
    async fn work(&self, leased: MarketplaceStore, counters: &mut SyncCounters) -> Result<Option<End>, OrderError> {
        let OrderDeps { store, clock, policy, .. } = self.deps;
        let mut run = None;
        let mut known = leased;
        let mut after: Option<DueReceipt> = None;
        loop {
            let page = store.due_receipts(self.id, self.started, self.limits.page, after.as_ref()).await?;
            let Some(last) = page.due.last().cloned() else {
                break;
            };
            let mut under_way = run.take().unwrap_or_else(|| known.sync.run_under_way(self.call, clock.now()));
            // Before the page, so that the run is known to have begun, the lease holds, and the settings are of now.
            match self.note(&under_way).await? {
                Some(current) => known = current,
                None => return Ok(None),
            }
            let account = match known.account(self.deps.sealer).await {
                Ok(account) => account,
                Err(failure) if failure.is_passing() => return Err(failure.into()),
                Err(failure) => {
                    error!(store.id = %self.id, error = with_causes(&failure), "{} has no usable token", self.id);
                    let until = clock.now().plus_millis(policy.retry.max_ms);
                    return Ok(Some(End::Run(RunEnd::Failed(until), Some(under_way))));
                }
            };
            let asked = self.ask_all(&known, &account, &page.due, counters).await?;
            under_way.counters = under_way.counters.plus(asked.counters);
            if let Some(until) = asked.stopped {
                return Ok(Some(End::Run(RunEnd::Failed(until), Some(under_way))));
            }
            after = Some(last);
            if (page.more || asked.postponed) && self.is_over() {
                return Ok(Some(End::Slice(under_way, known.organization.clone())));
            }
            run = Some(under_way);
            if !page.more {
                break;
            }
        }
        let next = store.due_receipts(self.id, Timestamp::MAX, 1, None).await?.due.first().map(|due| due.due_at);
        let seen = Seen { since: self.started, found: run.is_some(), next };
        Ok(Some(End::Run(RunEnd::Completed(seen), run)))
    }

    /// Whether no receipt should be begun any more.
    fn is_over(&self) -> bool {
        self.deps.clock.now() >= self.started.plus_millis(self.limits.slice_ms)
    }

    /// Notes how far the run is, and keeps the lease.
    async fn note(&self, run: &SyncRun) -> Result<Option<MarketplaceStore>, StoreError> {
        let Self { deps, id, owner, limits, .. } = self;
        let noted = step(*deps, id, |sync, now| sync.progressed(owner, run, now, limits.lease_ms)).await?;
        Ok(match noted {
            Stepped::Written(current) => Some(*current),
            Stepped::Unchanged(_) | Stepped::Unknown => None,
        })
    }

    async fn finish(&self, end: RunEnd, run: Option<&SyncRun>) -> Result<SyncOutcome, OrderError> {
        let Self { deps, id, owner, limits, .. } = self;
        let finished = step(*deps, id, |sync, now| {
            let noted = match run {
                Some(run) => sync.progressed(owner, run, now, limits.lease_ms)?,
                None => sync.clone(),
            };
            noted.finished(owner, end, now)
        });
        let outcome = match (finished.await?, end) {
            (Stepped::Written(_), RunEnd::Completed(_)) => SyncOutcome::Completed,
            (Stepped::Written(_), RunEnd::Failed(until)) => SyncOutcome::Failed(until),
            (Stepped::Unchanged(_) | Stepped::Unknown, _) => SyncOutcome::NotLeased,
        };
        Ok(outcome)
    }

    /// Gives the store to a continuation: noted first, so that a continuation that is lost is sent again.
    async fn hand_on(&self, run: &SyncRun) -> Result<SyncOutcome, OrderError> {
        let Self { deps, id, owner, limits, .. } = self;
        let handed =
            step(*deps, id, |sync, now| sync.progressed(owner, run, now, limits.lease_ms)?.handed_on(owner, now));
        Ok(match handed.await? {
            Stepped::Written(_) => SyncOutcome::HandedOn,
            Stepped::Unchanged(_) | Stepped::Unknown => SyncOutcome::NotLeased,
        })
    }

    /// Asks about every receipt of a page. When the marketplace or our own store makes it stop, what was begun is waited
    /// for all the same: an answer on its way is worth having, and its claim would keep others off until it lapsed.
    async fn ask_all(
        &self,
        of: &MarketplaceStore,
        account: &MarketplaceAccount,
        due: &[DueReceipt],
        counters: &mut SyncCounters,
    ) -> Result<Page, OrderError> {
        let ending = AtomicBool::new(false);
        let mut work = Vec::with_capacity(due.len());
        for DueReceipt { id, .. } in due {
            work.push(self.ask_one(of, account, id, &ending));
        }
        let mut asked = futures::stream::iter(work).buffer_unordered(AT_ONCE);
        let (mut page, mut broken) = (Page::default(), None);
        while let Some(asked) = asked.next().await {
            match asked {
                Ok(Asked::Answered(state, failure)) => {
                    page.counters = page.counters.plus(counted(state));
                    if failure == Some(ReceiptError::MarketplaceAuth) {
                        // The next receipt would hear the same.
                        let later = self.deps.clock.now().plus_millis(self.deps.policy.retry.base_ms);
                        page.stopped = page.stopped.max(Some(later));
                    }
                }
                Ok(Asked::NotMade(until)) => page.stopped = page.stopped.max(Some(until)),
                Ok(Asked::Postponed) => page.postponed = true,
                Ok(Asked::Skipped) => {}
                Err(failure) if failure.is_passing() => broken = broken.or(Some(failure)),
                // One unreadable receipt must not hold up the others. It stays due, so this line comes again.
                Err(failure) => {
                    error!(store.id = %of.id, error = with_causes(&failure), "a receipt of {} is skipped", of.id);
                }
            }
            ending.store(page.stopped.is_some() || broken.is_some(), Ordering::Relaxed);
        }
        *counters = counters.plus(page.counters);
        let SyncCounters { processed, success, failed, rate_limited } = page.counters;
        info!(
            storeId = %of.id, processedCount = processed, successCount = success, failedCount = failed,
            rateLimitedCount = rate_limited, "sync_store_batch"
        );
        broken.map_or(Ok(page), |failure| Err(failure.into()))
    }

    async fn ask_one(
        &self,
        of: &MarketplaceStore,
        account: &MarketplaceAccount,
        id: &ReceiptId,
        ending: &AtomicBool,
    ) -> Result<Asked, StoreError> {
        let OrderDeps { store, clock, policy, .. } = self.deps;
        if self.is_over() || ending.load(Ordering::Relaxed) {
            return Ok(Asked::Postponed);
        }
        // No other call claims under this name.
        let token = format!("{}/{id}", self.call);
        let claimed = step_receipt(store, clock, (&of.id, id), None, |current, now| {
            match current.map(|receipt| receipt.claim_due(now, &token, policy.claim_ms)) {
                Some(Claimed::Taken(next)) => Wanted::Write(next),
                Some(Claimed::Mine) => Wanted::Leave(true),
                _ => Wanted::Leave(false),
            }
        });
        let claimed = match claimed.await? {
            Moved::Written(claimed) => Some(*claimed),
            Moved::Left(true) => None,
            Moved::Left(false) => return Ok(Asked::Skipped),
        };
        let result = ask(self.deps, of, account, id, &token).await?;
        let kept = keep(self.deps, of, id, claimed, &token, &result).await?;
        Ok(match (result, kept) {
            (CallResult::NotMade { until }, _) => Asked::NotMade(until),
            (_, Some(receipt)) => Asked::Answered(receipt.state(), receipt.error()),
            (_, None) => Asked::Skipped,
        })
    }
}

fn counted(state: ReceiptState) -> SyncCounters {
    let one = |is: ReceiptState| u32::from(state == is);
    SyncCounters {
        processed: 1,
        success: one(ReceiptState::Success),
        failed: one(ReceiptState::Failed),
        rate_limited: one(ReceiptState::RateLimited),
    }
}
