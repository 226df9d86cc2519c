//! The synchronization of one store: when somebody must look at it, who does, and how far the present run is.
//!
//! Owns these states and the steps between them; each step is one conditional write of the store. Must not know what a
//! run does. What keeps receipts right is not the lease but each receipt's own claim: the lease only spares work.

use sha2::{Digest, Sha256};

use crate::{DUE_BUCKETS, StoreId, Timestamp};

/// After how long a job that was queued counts as lost, in milliseconds: longer than a job waits for a worker, and than
/// two ticks of the scheduler.
const QUEUED_MAX_MS: i64 = 5 * 60 * 1000;

/// How long a store stays watched after the first run that left nothing due, in milliseconds. An import reads the store,
/// then claims its receipt, then the index shows the claim: all that must fit in here, or nobody would look after a
/// receipt whose importer died.
const IDLE_MS: i64 = 60_000;

/// When somebody must look at a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// From then on.
    pub due_at: Timestamp,
    /// Whether a run left nothing due, and nobody relied on the watch since. From `due_at` on, which is then late enough
    /// for the index to show everything, a run that finds nothing believes it.
    pub idle: bool,
}

/// Who works on a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLease {
    /// The job.
    pub owner: String,
    /// From then on another may.
    pub until: Timestamp,
}

/// What a run did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncCounters {
    /// Receipts asked about.
    pub processed: u32,
    /// Those that became orders.
    pub success: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those that the marketplace put off.
    pub rate_limited: u32,
}

impl SyncCounters {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            processed: self.processed.saturating_add(other.processed),
            success: self.success.saturating_add(other.success),
            failed: self.failed.saturating_add(other.failed),
            rate_limited: self.rate_limited.saturating_add(other.rate_limited),
        }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncRunState {
    /// Receipts are left.
    Started,
    /// All that were due were asked about.
    Completed,
    /// The marketplace cannot be asked.
    Failed,
}

impl SyncRunState {
    /// The state's name in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Reads a state's name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Started, Self::Completed, Self::Failed].into_iter().find(|state| state.as_str() == text)
    }
}

/// A pass over the receipts that are due. Outlives the job that began it: the next one goes on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRun {
    /// Names it.
    pub id: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Where it stands.
    pub state: SyncRunState,
    /// What it did.
    pub counters: SyncCounters,
}

/// What a job saw of its store's receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// It did not read the index before then.
    pub since: Timestamp,
    /// Whether it found one that was due.
    pub found: bool,
    /// When the next one will be due, if one waits.
    pub next: Option<Timestamp>,
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// Nothing is due any more.
    Completed(Seen),
    /// The marketplace cannot be asked before then.
    Failed(Timestamp),
}

/// The synchronization of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreSync {
    /// When somebody must look; `None` when nothing waits.
    pub watch: Option<Watch>,
    /// When a job was queued, until one begins.
    pub queued_at: Option<Timestamp>,
    /// Who works on it.
    pub lease: Option<StoreLease>,
    /// The last run.
    pub run: Option<SyncRun>,
}

impl StoreSync {
    /// A store's group in the index of due ones.
    pub fn due_bucket(id: &StoreId) -> u8 {
        let digest = Sha256::digest(id.as_str().as_bytes());
        digest.first().map_or(0, |byte| byte % DUE_BUCKETS)
    }

    /// Sees to it that somebody looks by then; `None` when somebody will. To be stored *before* a receipt that will be
    /// due then: a needless look costs little, a receipt that nobody looks at is lost.
    #[must_use]
    pub fn watched_by(&self, by: Timestamp) -> Option<Self> {
        match self.watch {
            Some(watch) if watch.due_at <= by && !watch.idle => None,
            watch => {
                let due_at = watch.map_or(by, |watch| watch.due_at.min(by));
                Some(Self { watch: Some(Watch { due_at, idle: false }), ..self.clone() })
            }
        }
    }

    /// Notes that a job is queued now; `None` when it is not due, a job is on its way, or one is at work.
    #[must_use]
    pub fn queued(&self, now: Timestamp) -> Option<Self> {
        let due = self.watch.is_some_and(|watch| watch.due_at <= now);
        let on_its_way = self.queued_at.is_some_and(|queued_at| now < queued_at.plus_millis(QUEUED_MAX_MS));
        (due && !on_its_way && self.free_for("", now)).then(|| Self { queued_at: Some(now), ..self.clone() })
    }

    /// Gives the store to a job, or prolongs what it has; `None` when another job has it.
    #[must_use]
    pub fn leased(&self, owner: &str, now: Timestamp, lease_ms: i64) -> Option<Self> {
        let lease = StoreLease { owner: owner.to_owned(), until: now.plus_millis(lease_ms) };
        self.free_for(owner, now).then(|| Self { lease: Some(lease), queued_at: None, ..self.clone() })
    }

    /// Whether the job has the store still. A lease that ran out is its own until another takes it.
    pub fn is_leased_by(&self, owner: &str) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.owner == owner)
    }

    fn free_for(&self, owner: &str, now: Timestamp) -> bool {
        self.lease.as_ref().is_none_or(|lease| lease.owner == owner || lease.until <= now)
    }

    /// The run that is under way, or a new one under this name.
    pub fn run_under_way(&self, new_id: &str, now: Timestamp) -> SyncRun {
        match &self.run {
            Some(run) if run.state == SyncRunState::Started => run.clone(),
            _ => SyncRun {
                id: new_id.to_owned(),
                started_at: now,
                ended_at: None,
                state: SyncRunState::Started,
                counters: SyncCounters::default(),
            },
        }
    }

    /// Notes how far a run is and prolongs the lease; `None` when the job has lost the store.
    #[must_use]
    pub fn progressed(&self, owner: &str, run: &SyncRun, now: Timestamp, lease_ms: i64) -> Option<Self> {
        self.is_leased_by(owner).then_some(())?;
        let lease = StoreLease { owner: owner.to_owned(), until: now.plus_millis(lease_ms) };
        Some(Self { lease: Some(lease), run: Some(run.clone()), ..self.clone() })
    }

    /// Hands the store to a continuation that is about to be queued; `None` when the job has lost it.
    #[must_use]
    pub fn handed_on(&self, owner: &str, now: Timestamp) -> Option<Self> {
        self.is_leased_by(owner).then_some(())?;
        let watch = Some(Watch { due_at: now, idle: false });
        Some(Self { lease: None, queued_at: Some(now), watch, ..self.clone() })
    }

    /// Gives the store back as it was found, because of a fault of our own; `None` when the job has lost it.
    #[must_use]
    pub fn given_up(&self, owner: &str) -> Option<Self> {
        self.is_leased_by(owner).then(|| Self { lease: None, ..self.clone() })
    }

    /// Ends the run and gives the store back; `None` when the job has lost it.
    #[must_use]
    pub fn finished(&self, owner: &str, end: RunEnd, now: Timestamp) -> Option<Self> {
        self.is_leased_by(owner).then_some(())?;
        let (state, watch) = match end {
            RunEnd::Failed(until) => (SyncRunState::Failed, Some(Watch { due_at: until, idle: false })),
            RunEnd::Completed(seen) => (SyncRunState::Completed, self.watch_after(seen, now)),
        };
        let run = self.run.clone().map(|run| match run.state {
            SyncRunState::Started => SyncRun { state, ended_at: Some(now), ..run },
            _ => run,
        });
        Some(Self { watch, queued_at: None, lease: None, run })
    }

    /// When to look after a run that left nothing due. What an import wrote that relied on the watch as it was, and what
    /// the run itself wrote, may not show in the index yet. So the watch ends only with a run that found nothing and began
    /// to look a while after another one had ended; imports say when they come in between. Jobs come at any time, as a
    /// message may come twice: one that looked earlier proves nothing, and leaves the watch for one that will.
    fn watch_after(&self, Seen { since, found, next }: Seen, now: Timestamp) -> Option<Watch> {
        let idle_until = self.watch.filter(|watch| watch.idle && !found).map(|watch| watch.due_at);
        if idle_until.is_some_and(|idle_until| idle_until <= since) {
            return next.map(|due_at| Watch { due_at, idle: false });
        }
        let idle_until = idle_until.unwrap_or_else(|| now.plus_millis(IDLE_MS));
        // One that is due sooner must not wait, and the look at it comes too early to end the watch.
        let sooner = next.filter(|next| *next < idle_until);
        Some(sooner.map_or(Watch { due_at: idle_until, idle: true }, |due_at| Watch { due_at, idle: false }))
    }
}
