//! Requests: what somebody asks for at one level, answered at once.
//!
//! Path (a), *blind*: one conditional write without reading. Whatever that refuses is explained by the level that the
//! failed write returned, or settled by reading. An unknown outcome is settled by repeating the same write.

use evenstock_domain::{
    BlindRequest, EntryKind, EventId, LevelKey, Outcome, PAGE_ENTRIES, Past, Placed, Rejection, StockEvent, StockLevel,
    decide,
};
use tracing::{instrument, warn};

use crate::apply::{Step, look_back, settle};
use crate::spill::spill;
use crate::{Appended, Clock, StockStore, StoreError, Stored, with_causes};

/// Tries before a request gives up; usually its patience ends first. With 64 writers on one SKU some need thirty.
const ATTEMPTS_MAX: u32 = 128;

/// The try after which waits grow no further.
const WAIT_GROWS_TO: u32 = 5;

/// How long a request is tried, in milliseconds: with one call more it stays within the shortest function timeout, so
/// that the caller gets our answer and not the gateway's.
const PATIENCE_MS: i64 = 7_000;

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

/// What a try left for the next one.
#[derive(Debug, Default)]
struct Tries {
    /// The version through which the journal was searched in vain.
    absent_through: Option<u64>,
    /// The oldest entry of the full level that the last try met.
    met_full: Option<EventId>,
}

/// Makes a request of a level: applies it once, or says why not.
///
/// # Errors
/// [`StoreError`] when the store fails for good or too many tries were outpaced. The request may be made again under
/// the same id.
#[instrument(name = "ApplyDelta", skip_all, fields(organization.id = %key.organization, sku.id = %key.sku, location.id = %key.location))]
pub async fn request<S: StockStore, C: Clock>(
    store: &S,
    clock: &C,
    key: &LevelKey,
    event: &StockEvent,
) -> Result<Settled, StoreError> {
    let mut tries = Tries::default();
    let give_up = clock.now().plus_millis(PATIENCE_MS);
    for attempt in 1..=ATTEMPTS_MAX {
        match attempt_once(store, clock, key, event, &mut tries).await {
            Ok(Next::Settled(settled)) => return Ok(*settled),
            Ok(Next::AtOnce) => continue,
            Ok(Next::Later) => {}
            Err(error) if error.is_passing() => {
                warn!(sku.id = %key.sku, error = with_causes(&error), attempt, "stock request of {} must be tried again", key.sku);
                if attempt == ATTEMPTS_MAX || clock.now() > give_up {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        if clock.now() > give_up {
            return Err(StoreError::exhausted(attempt));
        }
        // Not longer with every try: the ones that waited longest would be the last to get through.
        clock.back_off(attempt.min(WAIT_GROWS_TO)).await;
    }
    Err(StoreError::exhausted(ATTEMPTS_MAX))
}

/// Finds what an event did to a level, without doing it. `None` when it did nothing.
pub(crate) async fn recall<S: StockStore>(
    store: &S,
    key: &LevelKey,
    event: &StockEvent,
) -> Result<Option<Placed>, StoreError> {
    let Some(stored) = store.load(key).await? else {
        return Ok(None);
    };
    let past = look_back(store, key, &stored.level, core::slice::from_ref(event)).await?;
    Ok(stored.level.find(event.id, &past))
}

/// What follows a try.
enum Next {
    /// Nothing: this is the answer.
    Settled(Box<Settled>),
    /// Another try that knows more than this one.
    AtOnce,
    /// Another try after a while: others were faster.
    Later,
}

impl From<Option<Settled>> for Next {
    fn from(settled: Option<Settled>) -> Self {
        settled.map_or(Self::Later, |settled| Self::Settled(Box::new(settled)))
    }
}

async fn attempt_once<S: StockStore, C: Clock>(
    store: &S,
    clock: &C,
    key: &LevelKey,
    event: &StockEvent,
    tries: &mut Tries,
) -> Result<Next, StoreError> {
    let Some(mut blind) = BlindRequest::new(event, clock.now()) else {
        let current = store.load(key).await?;
        return by_decision(store, clock, key, event, current).await;
    };
    // Kept over a try whose outcome is unknown: had it been done, it would stand behind what was searched.
    blind.absent_through = tries.absent_through;
    match store.append(key, &blind).await? {
        Appended::Applied(stored) => {
            // The one writer that goes past a page's worth spills it, so that the newest entry stays. When it dies here,
            // the next to meet a full level does it.
            if stored.level.recent.len() == PAGE_ENTRIES + 1
                && let Err(error) = spill(store, key, &stored.level).await
            {
                warn!(sku.id = %key.sku, error = with_causes(&error), "journal page of {} was not spilled, a later writer will", key.sku);
            }
            Ok(placed(event, &stored.level, &Past::none(), false).into())
        }
        Appended::Refused(Some(stored)) => explain(store, clock, key, event, stored, tries).await,
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
    tries: &mut Tries,
) -> Result<Next, StoreError> {
    let level = &stored.level;
    if !level.has_room() {
        // A repetition needs no room, so it is looked for before anything is moved.
        if let Some(settled) = placed(event, level, &Past::none(), true) {
            return Ok(Next::Settled(Box::new(settled)));
        }
        // Somebody is spilling; many who help at once would only be in the way. Whoever meets the same page again helps.
        let oldest = level.recent.first().map(|entry| entry.id);
        if tries.met_full != oldest {
            tries.met_full = oldest;
            return Ok(Next::Later);
        }
        spill(store, key, level).await?;
        return Ok(Next::AtOnce);
    }
    let event_alone = core::slice::from_ref(event);
    let verdict = decide(level, event_alone, &Past::none(), clock.now());
    match verdict.outcomes.first() {
        // It would fit now, but did not when it was tried.
        Some(Outcome::Applied) => by_decision(store, clock, key, event, Some(stored)).await,
        Some(outcome) => Ok(answer(event, *outcome, level, &Past::none()).into()),
        // Late: it may have been applied and spilled. If no page knows it, it is tried again, and passes as long as every
        // entry since stands in the level.
        None => {
            let past = look_back(store, key, level, event_alone).await?;
            match decide(level, event_alone, &past, clock.now()).outcomes.first() {
                Some(Outcome::Applied) => {
                    tries.absent_through = Some(level.version);
                    Ok(Next::AtOnce)
                }
                Some(outcome) => Ok(answer(event, *outcome, level, &past).into()),
                None => Ok(Next::Later),
            }
        }
    }
}

async fn by_decision<S: StockStore, C: Clock>(
    store: &S,
    clock: &C,
    key: &LevelKey,
    event: &StockEvent,
    current: Option<Stored>,
) -> Result<Next, StoreError> {
    match settle(store, key, current, core::slice::from_ref(event), clock.now()).await? {
        Step::Outpaced(_) => Ok(Next::Later),
        Step::Settled { outcomes, level, past, .. } => {
            Ok(outcomes.first().and_then(|outcome| answer(event, *outcome, &level, &past)).into())
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
    if placed.entry.kind == EntryKind::Void {
        return Some(Settled { answer: Answer::Rejected(Rejection::Voided), level: level.clone(), repeated });
    }
    if placed.entry.fingerprint != event.body.fingerprint() {
        return Some(Settled { answer: Answer::Rejected(Rejection::IdReused), level: level.clone(), repeated });
    }
    Some(Settled { answer: Answer::Applied(placed), level: level.clone(), repeated })
}
