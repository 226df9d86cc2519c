//! A batch of levels: find what the central system lacks of each, tell it, and write down what it has then.
//!
//! Each round pushes at most one change of each level, so that its answer is known before the next one names a version. Two
//! batches may work on one level: they push the same under the same name, and one of them writes it down.

use std::collections::BTreeMap;

use evenstock_domain::{
    BreakerConfig, CentralCopy, CentralDispute, CentralPush, DisputeReason, EventIdKey, Holding, LevelKey, LocationId,
    Timestamp,
};
use futures::StreamExt;
use futures::stream;

use super::dispute::{central_conflict, conflict_id, follow_decision};
use super::job::LEVELS_MAX;
use super::line::{Down, Line};
use super::port::{CentralAnswer, CentralCopies, CentralError, CentralStock, CentralUpdate};
use super::task::{Task, Theirs, pending};
use crate::{BreakerStore, Clock, ConflictStore, StockStore, StoreError, with_causes};

/// Levels that are read, and asked about, at a time.
const LEVELS_AT_ONCE: usize = 8;

/// Calls of different locations, or packs, at a time.
const CALLS_AT_ONCE: usize = 4;

/// How often a level may be found changed by somebody else before its message comes back.
const OUTPACED_MAX: u32 = 8;

/// The longest wait that a message is given, in seconds.
const WAIT_SECONDS_MAX: i64 = 900;

/// What propagating needs.
#[derive(Debug)]
pub struct PropagateDeps<'a, S, P, C> {
    /// Levels, copies, conflicts and the breaker.
    pub store: &'a S,
    /// The central system.
    pub central: &'a P,
    /// Time.
    pub clock: &'a C,
    /// Names pushes.
    pub ids: &'a EventIdKey,
}

impl<S, P, C> Clone for PropagateDeps<'_, S, P, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, P, C> Copy for PropagateDeps<'_, S, P, C> {}

/// How a batch is propagated.
#[derive(Debug, Clone)]
pub struct PropagatePlan<'a> {
    /// Who the central system is when it writes to us: an API key's id, or a source's name.
    pub theirs: Option<&'a str>,
    /// When its breaker opens.
    pub breaker: BreakerConfig,
    /// How long a difference has to disappear before it is a conflict, in seconds: what it tells us may be on its way.
    pub grace_seconds: u16,
    /// When no further call is begun.
    pub until: Timestamp,
    /// Names this batch.
    pub name: &'a str,
}

/// What became of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushFate {
    /// It has everything, or its conflict is durable.
    Done,
    /// It is to be looked at after so many seconds.
    Later {
        /// How long.
        seconds: u16,
        /// Whether a difference counts then.
        again: bool,
        /// Whether the central system put it off, rather than we.
        put_off: bool,
    },
    /// It failed, and may pass later.
    Failed(String),
    /// It cannot pass as things stand.
    Refused(String),
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PropagateReport {
    /// What became of each level.
    pub fates: BTreeMap<LevelKey, PushFate>,
    /// Changes that were applied there.
    pub pushed: u64,
    /// Levels that failed or were refused.
    pub failed: u64,
    /// Conflicts that were found.
    pub conflicts: u64,
}

/// Tells the central system what it lacks of these levels, each named once; `true` marks those whose difference counts.
pub async fn propagate<S, P, C>(
    deps: PropagateDeps<'_, S, P, C>,
    plan: &PropagatePlan<'_>,
    levels: &[(LevelKey, bool)],
) -> PropagateReport
where
    S: StockStore + CentralCopies + ConflictStore + BreakerStore,
    P: CentralStock,
    C: Clock,
{
    let work = Work { deps, plan, line: Line::new(deps.store, deps.clock, plan.breaker, plan.name) };
    let mut tasks: Vec<_> = levels.iter().map(|(key, again)| Task::new(key.clone(), *again, deps.ids)).collect();
    let mut report = PropagateReport::default();
    work.rounds(&mut tasks, &mut report).await;
    let down = work.line.down();
    for task in tasks {
        report.conflicts += u64::from(task.found);
        let again = task.again;
        let fate = task.fate.unwrap_or_else(|| work.unfinished(down.as_ref(), again));
        report.failed += u64::from(matches!(fate, PushFate::Failed(_) | PushFate::Refused(_)));
        report.fates.insert(task.key, fate);
    }
    report
}

struct Work<'a, S, P, C> {
    deps: PropagateDeps<'a, S, P, C>,
    plan: &'a PropagatePlan<'a>,
    line: Line<'a, S, C>,
}

/// What one look at a level asks for.
enum Step {
    Push(CentralPush),
    /// Look again: what was known has moved.
    Again,
    Ended(PushFate),
}

/// Why a look at a level ended early.
enum Stop {
    Store(StoreError),
    Down,
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Down> for Stop {
    fn from(_: Down) -> Self {
        Self::Down
    }
}

impl<S, P, C> Work<'_, S, P, C>
where
    S: StockStore + CentralCopies + ConflictStore + BreakerStore,
    P: CentralStock,
    C: Clock,
{
    /// Rounds of pushes until every level has its fate, the time is up, or the line is down.
    async fn rounds(&self, tasks: &mut Vec<Task>, report: &mut PropagateReport) {
        loop {
            let busy = self.is_open_for_work() && tasks.iter().any(|task| task.fate.is_none());
            if !busy {
                return;
            }
            let looks = tasks.drain(..).map(async |mut task| {
                let push = Box::pin(self.look(&mut task)).await;
                (task, push)
            });
            let looked: Vec<_> = stream::iter(looks).buffered(LEVELS_AT_ONCE).collect().await;
            let mut packs: BTreeMap<LocationId, Vec<(Task, CentralPush)>> = BTreeMap::new();
            for (task, push) in looked {
                match push {
                    Some(push) => packs.entry(task.key.location.clone()).or_default().push((task, push)),
                    None => tasks.push(task),
                }
            }
            let packs = packs.into_iter().flat_map(|(location, mut pack)| {
                let mut parts = Vec::new();
                while !pack.is_empty() {
                    let rest = pack.split_off(pack.len().min(LEVELS_MAX));
                    parts.push((location.clone(), core::mem::replace(&mut pack, rest)));
                }
                parts
            });
            let calls = packs.map(async |(location, pack)| Box::pin(self.push(&location, pack)).await);
            let settled: Vec<_> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
            for (part, pushed) in settled {
                tasks.extend(part);
                report.pushed += pushed;
            }
        }
    }

    fn is_open_for_work(&self) -> bool {
        self.line.down().is_none() && self.deps.clock.now() < self.plan.until
    }

    /// What becomes of a level that the batch did not come to the end of.
    fn unfinished(&self, down: Option<&Down>, again: bool) -> PushFate {
        let later = |seconds: i64, put_off| PushFate::Later {
            seconds: u16::try_from(seconds.clamp(0, WAIT_SECONDS_MAX)).unwrap_or_default(),
            again,
            put_off,
        };
        match down {
            None => later(0, false),
            Some(Down::Open(until)) => {
                let millis = until.millis_since(self.deps.clock.now());
                later(millis.saturating_add(999).div_euclid(1000).max(1), false)
            }
            Some(Down::Unknown(reason)) => PushFate::Failed(reason.clone()),
            Some(Down::Failed(error)) => match error.retry_after_seconds() {
                Some(seconds) => later(i64::from(seconds).max(1), true),
                None => PushFate::Failed(with_causes(error)),
            },
        }
    }

    /// The next push of a level; `None` when it has its fate, or must wait for the line.
    async fn look(&self, task: &mut Task) -> Option<CentralPush> {
        while task.fate.is_none() {
            match Box::pin(self.step(task)).await {
                Ok(Step::Push(push)) => return Some(push),
                Ok(Step::Ended(fate)) => task.fate = Some(fate),
                Ok(Step::Again) => self.outpaced(task),
                Err(Stop::Down) => return None,
                Err(Stop::Store(error)) => task.fate = Some(PushFate::Failed(with_causes(&error))),
            }
        }
        None
    }

    /// Forgets what was known of a level, unless that has happened too often.
    fn outpaced(&self, task: &mut Task) {
        task.outpaced += 1;
        task.take_copy(None, None);
        if task.outpaced > OUTPACED_MAX {
            task.fate = Some(PushFate::Failed(format!("it was outpaced {OUTPACED_MAX} times")));
        }
    }

    async fn step(&self, task: &mut Task) -> Result<Step, Stop> {
        if task.copy.is_none()
            && let Some(step) = self.open(task).await?
        {
            return Ok(step);
        }
        let Some(copy) = &task.copy else {
            return Ok(Step::Again);
        };
        let (passed, push) = copy.next(&task.pending);
        if let Some(push) = push {
            task.copy = Some(passed);
            return Ok(Step::Push(push));
        }
        if task.is_worth_saving(&passed) {
            // Whoever was faster has passed them by as well.
            self.deps.store.save_copy(&task.key, task.rev, &passed).await?;
        }
        Ok(Step::Ended(PushFate::Done))
    }

    /// Reads a level and its copy, follows what was decided, and begins with levels that were never pushed. `None`: the
    /// copy can be worked with.
    async fn open(&self, task: &mut Task) -> Result<Option<Step>, Stop> {
        let PropagateDeps { store, clock, ids, .. } = self.deps;
        let (rev, mut copy) = match store.load_copy(&task.key).await? {
            Some((rev, copy)) => (Some(rev), Some(copy)),
            None => (None, None),
        };
        task.take_copy(rev, None);
        if let Some(dispute) = copy.as_ref().and_then(|copy| copy.dispute) {
            let id = conflict_id(&task.key, &dispute);
            let Some(conflict) = store.load_conflict(&task.key.organization, &id).await? else {
                store.record_conflict(&central_conflict(&task.key, &dispute)).await?;
                return Ok(Some(Step::Ended(PushFate::Done)));
            };
            let Some(resolution) = &conflict.resolution else {
                return Ok(Some(Step::Ended(PushFate::Done)));
            };
            let decided = follow_decision((store, clock, ids), &task.key, &dispute, resolution).await?;
            if !store.save_copy(&task.key, rev, &decided).await? {
                return Ok(Some(Step::Again));
            }
            task.wrote(decided.clone());
            copy = Some(decided);
        }
        // After the copy: what it says of our versions is never ahead of the level then.
        let Some(stored) = store.load(&task.key).await? else {
            return Ok(Some(Step::Ended(PushFate::Done)));
        };
        task.take_level(&stored.level);
        if let Some(copy) = copy {
            let theirs = Theirs(self.plan.theirs);
            if let Some(pending) = pending(store, &task.key, &stored.level, copy.through, theirs).await? {
                task.pending = pending;
                let rev = task.rev;
                task.take_copy(rev, Some(copy));
                return Ok(None);
            }
        }
        self.begin(task).await.map(Some)
    }

    /// Begins to follow a level, or begins anew where its journal does not reach back any more.
    async fn begin(&self, task: &mut Task) -> Result<Step, Stop> {
        let theirs = self.line.call(self.deps.central.holding(&task.key.location, &task.key.sku)).await?;
        let Some(begun) = CentralCopy::begin(task.ours, theirs) else {
            let theirs = theirs.unwrap_or(Holding { quantity: 0, version: 0 });
            task.pending.clear();
            let copy = CentralCopy {
                through: task.ours.version,
                version: theirs.version,
                quantity: theirs.quantity,
                correction: None,
                dispute: None,
            };
            let expected = task.ours.quantity;
            return self.contest(task, copy, DisputeReason::Differs, theirs, expected).await;
        };
        if !self.deps.store.save_copy(&task.key, task.rev, &begun).await? {
            return Ok(Step::Again);
        }
        task.pending.clear();
        task.wrote(begun.clone());
        let (passed, push) = begun.next(&[]);
        task.copy = Some(passed);
        Ok(push.map_or(Step::Ended(PushFate::Done), Step::Push))
    }

    /// Pushes a pack of one location and writes down what became of it; how many were applied.
    async fn push(&self, location: &LocationId, pack: Vec<(Task, CentralPush)>) -> (Vec<Task>, u64) {
        let update = |(task, push): &(Task, CentralPush)| CentralUpdate {
            sku: task.key.sku.clone(),
            delta: push.delta,
            expected_version: push.expected_version,
            idempotency_key: task.key_of(push),
        };
        let updates: Vec<_> = pack.iter().map(update).collect();
        let answers = self.line.call(whole(self.deps.central.push(location, &updates), updates.len())).await;
        let Ok(answers) = answers else {
            return (pack.into_iter().map(|(task, _)| task).collect(), 0);
        };
        let applied = answers.iter().filter(|answer| matches!(answer, CentralAnswer::Applied { .. })).count();
        let settles = pack.into_iter().zip(answers).map(async |((mut task, push), answer)| {
            match Box::pin(self.settle(&mut task, &push, answer)).await {
                Ok(Some(Step::Ended(fate))) => task.fate = Some(fate),
                Ok(Some(Step::Again)) => self.outpaced(&mut task),
                // What stopped is looked at as the line allows.
                Ok(Some(Step::Push(_)) | None) | Err(Stop::Down) => {}
                Err(Stop::Store(error)) => task.fate = Some(PushFate::Failed(with_causes(&error))),
            }
            task
        });
        let tasks = stream::iter(settles).buffered(LEVELS_AT_ONCE).collect().await;
        (tasks, applied as u64)
    }

    /// Writes down what the central system said to a push. `None`: the level goes on.
    async fn settle(&self, task: &mut Task, push: &CentralPush, answer: CentralAnswer) -> Result<Option<Step>, Stop> {
        let Some(copy) = task.copy.clone() else {
            return Ok(Some(Step::Again));
        };
        let reason = match answer {
            CentralAnswer::Applied { version } => return self.write(task, copy.pushed(push, version)).await,
            CentralAnswer::Later(reason) => return Ok(Some(Step::Ended(PushFate::Failed(reason)))),
            CentralAnswer::Rejected(reason) => return Ok(Some(Step::Ended(PushFate::Refused(reason)))),
            CentralAnswer::Stale => DisputeReason::Differs,
            CentralAnswer::Unprocessable(_) => DisputeReason::Refuses,
        };
        let theirs = self.line.call(self.deps.central.holding(&task.key.location, &task.key.sku)).await?;
        let theirs = theirs.unwrap_or(Holding { quantity: 0, version: 0 });
        // What it told us is there already, but a correction stands before all that we would have passed by.
        let expected = copy.expected(&task.pending);
        if reason == DisputeReason::Differs
            && let Some(rebased) = copy.rebased(theirs, &task.pending)
        {
            if rebased.version == copy.version {
                let reason = "it refuses the version that it has".to_owned();
                return Ok(Some(Step::Ended(PushFate::Failed(reason))));
            }
            return self.write(task, rebased).await;
        }
        self.contest(task, copy, reason, theirs, expected).await.map(Some)
    }

    async fn write(&self, task: &mut Task, copy: CentralCopy) -> Result<Option<Step>, Stop> {
        if !self.deps.store.save_copy(&task.key, task.rev, &copy).await? {
            return Ok(Some(Step::Again));
        }
        task.wrote(copy);
        Ok(None)
    }

    /// Both sides differ. The first time they are given some time; then the difference is a conflict.
    ///
    /// The copy is written first, with all that the conflict says: recorded twice, it is the same conflict.
    async fn contest(
        &self,
        task: &mut Task,
        copy: CentralCopy,
        reason: DisputeReason,
        theirs: Holding,
        expected: i64,
    ) -> Result<Step, Stop> {
        if !task.again && self.plan.grace_seconds > 0 {
            let seconds = self.plan.grace_seconds;
            return Ok(Step::Ended(PushFate::Later { seconds, again: true, put_off: false }));
        }
        let PropagateDeps { store, clock, .. } = self.deps;
        let (ours, ours_at, at) = (task.ours, task.ours_at, clock.now());
        let dispute = CentralDispute { reason, ours, ours_at, theirs, expected, at };
        let disputed = CentralCopy { dispute: Some(dispute), ..copy };
        if !store.save_copy(&task.key, task.rev, &disputed).await? {
            return Ok(Step::Again);
        }
        task.wrote(disputed);
        task.found = true;
        store.record_conflict(&central_conflict(&task.key, &dispute)).await?;
        Ok(Step::Ended(PushFate::Done))
    }
}

/// Answers, if there is one for each update.
async fn whole(
    answers: impl Future<Output = Result<Vec<CentralAnswer>, CentralError>> + Send,
    updates: usize,
) -> Result<Vec<CentralAnswer>, CentralError> {
    let answers = answers.await?;
    if answers.len() == updates {
        Ok(answers)
    } else {
        let reason = "it did not answer each update".to_owned();
        Err(CentralError::Failed { reason, retry_after_seconds: None })
    }
}
