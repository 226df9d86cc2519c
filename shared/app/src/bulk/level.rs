//! One level of a bulk sync: whether it is to be set, and setting it under the `rev` that was read.

use evenstock_domain::{EventBody, EventId, LevelKey, Outcome, StockEvent, StockLevel, Timestamp};

use crate::apply::{Step, settle};
use crate::{Clock, StockStore, StoreError, Stored, UpdateDeps};

/// Tries before one level gives up.
const ATTEMPTS_MAX: u32 = 12;

/// What became of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum One {
    Updated,
    Created,
    Skipped,
    Untouched,
}

/// Why a level is set.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reason {
    /// The request names it, with the version seen.
    Named(u64),
    /// No request named it; it must be as it was then.
    Unnamed(Timestamp),
}

/// Sets one level, unless there is a reason not to.
pub(super) async fn set_one<S: StockStore, C: Clock>(
    deps: &UpdateDeps<'_, S, C>,
    key: LevelKey,
    event: StockEvent,
    reason: Reason,
) -> Result<One, StoreError> {
    for attempt in 1..=ATTEMPTS_MAX {
        match set_once(deps, &key, &event, reason).await {
            Ok(Some(one)) => return Ok(one),
            Ok(None) => {}
            // An unknown outcome is settled by looking again: the set is found by its id.
            Err(error) if error.is_passing() && attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(error),
        }
        deps.clock.back_off(attempt).await;
    }
    Err(StoreError::exhausted(ATTEMPTS_MAX))
}

/// `None`: outpaced, try again.
async fn set_once<S: StockStore, C: Clock>(
    deps: &UpdateDeps<'_, S, C>,
    key: &LevelKey,
    event: &StockEvent,
    reason: Reason,
) -> Result<Option<One>, StoreError> {
    let stored = deps.store.load(key).await?;
    let refused = match &stored {
        None => matches!(reason, Reason::Unnamed(_)).then_some(One::Untouched),
        Some(Stored { level, .. }) => applied(level, event.id).or_else(|| unwanted(level, event, reason)),
    };
    if refused.is_some() {
        return Ok(refused);
    }
    let now = deps.clock.now();
    let observed = stored.as_ref().and_then(|stored| stored.level.observed.as_ref());
    // Our own word comes after every count so far, whatever its source's clock said.
    let time = observed.map_or(now, |observed| now.max(observed.time.plus_millis(1)));
    let event = StockEvent { time, ..event.clone() };
    let done = if stored.is_some() { One::Updated } else { One::Created };
    match settle(deps.store, key, stored, &[event], now).await? {
        Step::Settled { outcomes, .. } => Ok(outcomes.first().map(|outcome| match outcome {
            Outcome::Applied => done,
            _ => One::Skipped,
        })),
        Step::Outpaced(_) => Ok(None),
    }
}

/// What an earlier try of this operation made of the level. A redo so late that its entry has left the level finds
/// another version than the one that it names, and leaves the level alone.
pub(super) fn applied(level: &StockLevel, id: EventId) -> Option<One> {
    let place = level.recent.iter().position(|entry| entry.id == id)?;
    let created = place == 0 && level.first_recent_version() == 1;
    Some(if created { One::Created } else { One::Updated })
}

/// Why a level is not to be set.
fn unwanted(level: &StockLevel, event: &StockEvent, reason: Reason) -> Option<One> {
    let EventBody::Count { quantity, .. } = event.body else {
        return Some(One::Skipped);
    };
    let same = level.available == quantity.get();
    match reason {
        Reason::Named(version) => (same || level.version != version).then_some(One::Skipped),
        Reason::Unnamed(_) if same => Some(One::Untouched),
        Reason::Unnamed(since) => (level.updated_at >= since).then_some(One::Skipped),
    }
}
