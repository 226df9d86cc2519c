//! Requests: what somebody asks for at one level, answered at once.
//!
//! Path (a), *blind*: one conditional write without reading. Whatever that refuses is explained by the level that the
//! failed write returned, or settled by reading. An unknown outcome is settled by repeating the same write.

use evenstock_domain::{
    BlindRequest, LevelKey, Outcome, PAGE_ENTRIES, Past, Placed, Rejection, StockEvent, StockLevel, decide,
};
use tracing::warn;

use crate::apply::{Step, settle};
use crate::spill::spill;
use crate::{Appended, Clock, StockStore, StoreError, Stored};

/// Tries before a request gives up. With 64 writers on one SKU the busiest needs about five.
const ATTEMPTS_MAX: u32 = 24;

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It changed the level, now or when it was first made.
    Applied(Placed),
    /// There is less than it asks for.
    Insufficient,
    /// The level has another version than the one it names.
    VersionConflict,
    /// It can never be done as it stands.
    Rejected(Rejection),
}

/// An answer with what it was given on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The answer.
    pub answer: Answer,
    /// The level as it stood when the answer was given.
    pub level: StockLevel,
    /// Whether the request had been applied before this call, or by an earlier try of it.
    pub repeated: bool,
}

/// Makes a request of a level: applies it once, or says why not.
///
/// # Errors
/// [`StoreError`] when the store fails for good or too many tries were outpaced. The request may be made again under
/// the same id.
pub async fn request<S: StockStore, C: Clock>(
    store: &S,
    clock: &C,
    key: &LevelKey,
    event: &StockEvent,
) -> Result<Settled, StoreError> {
    for attempt in 1..=ATTEMPTS_MAX {
        match attempt_once(store, clock, key, event).await {
            Ok(Some(settled)) => return Ok(settled),
            Ok(None) => {}
            Err(error) if error.is_passing() => {
                warn!(sku.id = %key.sku, error = %error, attempt, "stock request of {} must be tried again", key.sku);
                if attempt == ATTEMPTS_MAX {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        clock.back_off(attempt).await;
    }
    Err(StoreError::exhausted(ATTEMPTS_MAX))
}

/// `None`: outpaced, try again.
async fn attempt_once<S: StockStore, C: Clock>(
    store: &S,
    clock: &C,
    key: &LevelKey,
    event: &StockEvent,
) -> Result<Option<Settled>, StoreError> {
    let Some(blind) = BlindRequest::new(event, clock.now()) else {
        let current = store.load(key).await?;
        return by_decision(store, clock, key, event, current).await;
    };
    match store.append(key, &blind).await? {
        Appended::Applied(stored) => {
            // The one writer that goes past a page's worth spills it, so that the newest entry stays. When it dies here,
            // the next to meet a full level does it.
            if stored.level.recent.len() == PAGE_ENTRIES + 1
                && let Err(error) = spill(store, key, &stored.level).await
            {
                warn!(sku.id = %key.sku, error = %error, "journal page of {} was not spilled, a later writer will", key.sku);
            }
            Ok(placed(event, &stored.level, &Past::none(), false))
        }
        Appended::Refused(Some(stored)) => explain(store, clock, key, event, stored).await,
        Appended::Refused(None) => by_decision(store, clock, key, event, None).await,
    }
}

/// Why a blind write was refused, by the level that it met.
async fn explain<S: StockStore, C: Clock>(
    store: &S,
    clock: &C,
    key: &LevelKey,
    event: &StockEvent,
    stored: Stored,
) -> Result<Option<Settled>, StoreError> {
    if !stored.level.has_room() {
        // A repetition needs no room, so it is looked for before anything is moved.
        if let Some(settled) = placed(event, &stored.level, &Past::none(), true) {
            return Ok(Some(settled));
        }
        spill(store, key, &stored.level).await?;
        return Ok(None);
    }
    let verdict = decide(&stored.level, core::slice::from_ref(event), &Past::none(), clock.now());
    match verdict.outcomes.first() {
        // It would fit now, but not blindly: the level allows backorders, or it changed in between.
        Some(Outcome::Applied) | None => by_decision(store, clock, key, event, Some(stored)).await,
        Some(outcome) => Ok(answer(event, *outcome, &stored.level, &Past::none())),
    }
}

async fn by_decision<S: StockStore, C: Clock>(
    store: &S,
    clock: &C,
    key: &LevelKey,
    event: &StockEvent,
    current: Option<Stored>,
) -> Result<Option<Settled>, StoreError> {
    match settle(store, key, current, core::slice::from_ref(event), clock.now()).await? {
        Step::Outpaced(_) => Ok(None),
        Step::Settled { outcomes, level, past, .. } => {
            Ok(outcomes.first().and_then(|outcome| answer(event, *outcome, &level, &past)))
        }
    }
}

fn answer(event: &StockEvent, outcome: Outcome, level: &StockLevel, past: &Past) -> Option<Settled> {
    let refused = |answer| Some(Settled { answer, level: level.clone(), repeated: false });
    match outcome {
        Outcome::Applied => placed(event, level, past, false),
        Outcome::Duplicate => placed(event, level, past, true),
        Outcome::Insufficient => refused(Answer::Insufficient),
        Outcome::VersionConflict => refused(Answer::VersionConflict),
        Outcome::Rejected(rejection) => refused(Answer::Rejected(rejection)),
        // Only observations and deltas have these outcomes.
        Outcome::Stale | Outcome::Absorbed => None,
    }
}

/// The answer of an applied request, rebuilt from its journal entry.
fn placed(event: &StockEvent, level: &StockLevel, past: &Past, repeated: bool) -> Option<Settled> {
    let placed = level.find(event.id, past)?;
    if placed.entry.fingerprint != event.body.fingerprint() {
        return Some(Settled { answer: Answer::Rejected(Rejection::IdReused), level: level.clone(), repeated });
    }
    Some(Settled { answer: Answer::Applied(placed), level: level.clone(), repeated })
}
