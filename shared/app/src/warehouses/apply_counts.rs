//! Applying a warehouse's changes to one level: judge each against what is known, keep the conflicts, write once.
//!
//! A conflict is durable before the level moves on, because afterwards nothing would find it again. Written twice it is
//! the same item.

use evenstock_domain::{
    ConflictPolicy, EventIdKey, LevelKey, Outcome, Past, Rejection, Source, StockEvent, StockLevel, Timestamp,
    contradiction, decide,
};

use super::conflict::{Conflict, ConflictStore};
use super::count::{WarehouseCount, warehouse_source};
use crate::apply::{Prepared, prepare};
use crate::{Clock, Commit, StockStore, StoreError, Stored};

/// Tries before a group gives up: each one follows a write of somebody else, or a passing fault.
const ATTEMPTS_MAX: u32 = 12;

/// How long a group is tried, in milliseconds. One slow level must not use up its whole batch's time.
const PATIENCE_MS: i64 = 12_000;

/// What the use cases of warehouses need.
#[derive(Debug)]
pub struct CountDeps<'a, S, C> {
    /// Levels and conflicts.
    pub store: &'a S,
    /// Time.
    pub clock: &'a C,
    /// Names events.
    pub ids: &'a EventIdKey,
}

impl<S, C> Clone for CountDeps<'_, S, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, C> Copy for CountDeps<'_, S, C> {}

/// What became of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountOutcome {
    /// It set the level, or confirmed it.
    Applied,
    /// It was applied before, or a newer one was.
    Unchanged,
    /// It contradicts what is known. The conflict is kept, and what the policy says was done.
    Conflict,
    /// It can never be applied as it stands.
    Rejected(Rejection),
}

/// What became of a group of changes.
#[derive(Debug)]
pub struct CountsApplied {
    /// One outcome for each settled change, in order.
    pub outcomes: Vec<CountOutcome>,
    /// Why the changes after those are not settled; `None` when all are.
    pub failure: Option<StoreError>,
}

/// Applies a warehouse's changes of one level, in the order given, with one conditional write for as many as fit.
///
/// What is settled is durable; when the store fails in between, the rest carries the failure and may be given again.
pub async fn apply_counts<S: StockStore + ConflictStore, C: Clock>(
    deps: CountDeps<'_, S, C>,
    key: &LevelKey,
    policy: ConflictPolicy,
    counts: &[WarehouseCount],
) -> CountsApplied {
    let mut outcomes = Vec::with_capacity(counts.len());
    let mut attempts = 0;
    let give_up = deps.clock.now().plus_millis(PATIENCE_MS);
    let mut known: Option<Option<Stored>> = None;
    while let Some(rest) = counts.get(outcomes.len()..).filter(|rest| !rest.is_empty()) {
        match apply_once(deps, key, policy, rest, known.take()).await {
            Ok(Tried::Settled(settled)) if !settled.is_empty() => {
                outcomes.extend(settled);
                continue;
            }
            // Somebody spilled further between our two reads; a fresh look resolves it.
            Ok(Tried::Settled(_)) => {}
            Ok(Tried::Outpaced(current)) => known = Some(current),
            Err(error) if error.is_passing() && attempts < ATTEMPTS_MAX => {}
            Err(error) => return CountsApplied { outcomes, failure: Some(error) },
        }
        attempts += 1;
        if attempts > ATTEMPTS_MAX || deps.clock.now() > give_up {
            return CountsApplied { outcomes, failure: Some(StoreError::exhausted(attempts)) };
        }
        deps.clock.back_off(attempts).await;
    }
    CountsApplied { outcomes, failure: None }
}

#[expect(clippy::large_enum_variant, reason = "it lives for one match; a box would only move the level about")]
enum Tried {
    Settled(Vec<CountOutcome>),
    Outpaced(Option<Stored>),
}

async fn apply_once<S: StockStore + ConflictStore, C: Clock>(
    deps: CountDeps<'_, S, C>,
    key: &LevelKey,
    policy: ConflictPolicy,
    counts: &[WarehouseCount],
    known: Option<Option<Stored>>,
) -> Result<Tried, StoreError> {
    let current = match known {
        Some(current) => current,
        None => deps.store.load(key).await?,
    };
    let source = warehouse_source();
    // As if each were to stand: the search for its past then reaches far enough, whatever is decided.
    let widest: Vec<_> = counts.iter().map(|count| count.event(deps.ids, &source, count.contested(true))).collect();
    let Prepared { rev, unspilled, level, past } = prepare(deps.store, key, current, &widest).await?;
    let judge = Judge { key, policy, ids: deps.ids, source, now: deps.clock.now() };
    let mut judged = judge.all(&level, counts, &past);
    let mut before = &level;
    if judged.level.recent.is_empty() {
        // Nothing was added after all: the newest entry must stay in the level.
        judged = judge.all(&unspilled, counts, &past);
        before = &unspilled;
    }
    for conflict in &judged.conflicts {
        deps.store.record_conflict(conflict).await?;
    }
    if judged.level == *before {
        return Ok(Tried::Settled(judged.outcomes));
    }
    Ok(match deps.store.commit(key, rev, &judged.level).await? {
        Commit::Committed => Tried::Settled(judged.outcomes),
        Commit::Conflict(current) => Tried::Outpaced(current),
    })
}

/// Decides about changes one after the other. Pure.
struct Judge<'a> {
    key: &'a LevelKey,
    policy: ConflictPolicy,
    ids: &'a EventIdKey,
    source: Source,
    now: Timestamp,
}

struct Judged {
    level: StockLevel,
    outcomes: Vec<CountOutcome>,
    conflicts: Vec<Conflict>,
}

impl Judge<'_> {
    /// Stops where the journal's tail is full, or where `past` does not reach far enough.
    fn all(&self, level: &StockLevel, counts: &[WarehouseCount], past: &Past) -> Judged {
        let mut judged = Judged { level: level.clone(), outcomes: Vec::new(), conflicts: Vec::new() };
        for count in counts {
            let event = count.event(self.ids, &self.source, count.plain());
            let Some(contradiction) = contradiction(&judged.level, &event, count.before) else {
                match self.decided(&mut judged.level, event, past) {
                    Some(outcome) => judged.outcomes.push(outcome),
                    None => break,
                }
                continue;
            };
            let organization = &self.key.organization;
            let conflict = Conflict::new(organization, count, &judged.level, contradiction, self.policy, self.now);
            let stands = self.policy != ConflictPolicy::CentralWins;
            let event = StockEvent { body: count.contested(stands), ..event };
            let mut after = judged.level.clone();
            match self.decided(&mut after, event, past) {
                Some(CountOutcome::Applied) => {
                    judged.conflicts.push(conflict);
                    judged.outcomes.push(CountOutcome::Conflict);
                    // Whoever decides later decides about a level that the change has not touched.
                    if self.policy != ConflictPolicy::Manual {
                        judged.level = after;
                    }
                }
                Some(outcome) => judged.outcomes.push(outcome),
                None => break,
            }
        }
        judged
    }

    fn decided(&self, level: &mut StockLevel, event: StockEvent, past: &Past) -> Option<CountOutcome> {
        let decision = decide(level, core::slice::from_ref(&event), past, self.now);
        let outcome = *decision.outcomes.first()?;
        *level = decision.level;
        Some(match outcome {
            Outcome::Applied => CountOutcome::Applied,
            Outcome::Rejected(reason) => CountOutcome::Rejected(reason),
            _ => CountOutcome::Unchanged,
        })
    }
}
