//! Creating a level, which only one of many callers does.

use evenstock_domain::{
    ActorCode, EventBody, EventId, EventIdKey, LevelKey, Means, OWN_CLOCK_MARGIN_MS, Outcome, Past, Placed, Quantity,
    Source, StockEvent, StockLevel, Timestamp,
};

use crate::apply::{Step, settle};
use crate::{Clock, StockStore, StoreError};

/// Tries before a creation gives up.
const ATTEMPTS_MAX: u32 = 12;

/// A level to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The level.
    pub key: LevelKey,
    /// Its first quantity.
    pub quantity: Quantity,
    /// Which key acts.
    pub actor: ActorCode,
    /// Names the operation.
    pub operation: String,
    /// When it was first asked for.
    pub time: Timestamp,
}

/// What a creation comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateResult {
    /// The level is there, made by this operation; `repeated` when an earlier call of it did so.
    Created {
        /// Its first change.
        first: Placed,
        /// Whether it was there before this call.
        repeated: bool,
    },
    /// Somebody else made it.
    Exists(StockLevel),
}

/// Creates a level unless it exists, and recognizes one that the same operation created before.
///
/// # Errors
/// [`StoreError`] when the store fails or stays outpaced; the same call may be made again.
pub async fn create<S: StockStore, C: Clock>(
    store: &S,
    clock: &C,
    ids: &EventIdKey,
    create: &Create,
) -> Result<CreateResult, StoreError> {
    let event = StockEvent {
        id: ids.event_id(&create.operation),
        time: create.time,
        source: Source::api(),
        actor: create.actor,
        body: EventBody::Count { quantity: create.quantity, means: Means::Available, sequence: 0 },
    };
    for attempt in 1..=ATTEMPTS_MAX {
        match create_once(store, clock, &create.key, &event).await {
            Ok(Some(result)) => return Ok(result),
            Ok(None) => {}
            // An unknown outcome is settled by looking again.
            Err(error) if error.is_passing() && attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(error),
        }
        clock.back_off(attempt).await;
    }
    Err(StoreError::exhausted(ATTEMPTS_MAX))
}

/// `None`: outpaced, try again.
async fn create_once<S: StockStore, C: Clock>(
    store: &S,
    clock: &C,
    key: &LevelKey,
    event: &StockEvent,
) -> Result<Option<CreateResult>, StoreError> {
    if let Some(stored) = store.load(key).await? {
        let result = match first_change(store, key, &stored.level, event.id, event.time).await? {
            Some(first) => CreateResult::Created { first, repeated: true },
            None => CreateResult::Exists(stored.level),
        };
        return Ok(Some(result));
    }
    match settle(store, key, None, core::slice::from_ref(event), clock.now()).await? {
        Step::Settled { outcomes, level, past, .. } if outcomes.first() == Some(&Outcome::Applied) => {
            Ok(level.find(event.id, &past).map(|first| CreateResult::Created { first, repeated: false }))
        }
        Step::Settled { .. } | Step::Outpaced(_) => Ok(None),
    }
}

/// The level's first change, if it is this event; looked for in the pages when it has left the level.
async fn first_change<S: StockStore>(
    store: &S,
    key: &LevelKey,
    level: &StockLevel,
    id: EventId,
    time: Timestamp,
) -> Result<Option<Placed>, StoreError> {
    let past = if level.first_recent_version() <= 1 || time > level.spilled_through {
        Past::none()
    } else {
        let start = time.plus_millis(-OWN_CLOCK_MARGIN_MS);
        Past::reaching(start, store.pages_since(key, start).await?)
    };
    Ok(level.find(id, &past).filter(|placed| placed.version == 1))
}
