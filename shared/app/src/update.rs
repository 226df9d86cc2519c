//! A stock update under an idempotency key: the record, the effect under the record's id, the answer from the journal.

use evenstock_domain::{ActorCode, Delta, EventBody, EventIdKey, LevelKey, Source, StockEvent, Timestamp};

use crate::{Clock, IdempotencyStore, Operation, Settled, StockStore, StoreError, bind, request};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The level.
    pub key: LevelKey,
    /// The change.
    pub delta: Delta,
    /// The version that the client saw last; 0 for "not there yet", `None` for whatever it is.
    pub version: Option<u64>,
    /// The client's name for this request.
    pub idempotency_key: String,
    /// Hash of the request that the key is bound to.
    pub request_hash: [u8; 32],
    /// Which key acted.
    pub actor: ActorCode,
}

/// What an update comes to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large variant is the usual one")]
pub enum UpdateResult {
    /// Answered; `replayed` when the answer is that of an earlier request under the same key.
    Settled {
        /// The answer.
        settled: Settled,
        /// Whether an earlier request under this key had the effect.
        replayed: bool,
    },
    /// The idempotency key belongs to another request.
    KeyReused,
}

/// What an update needs.
#[derive(Debug)]
pub struct UpdateDeps<'a, S, C> {
    /// Levels and idempotency records.
    pub store: &'a S,
    /// Time.
    pub clock: &'a C,
    /// Names events.
    pub ids: &'a EventIdKey,
}

/// Applies an update exactly once, however often it is sent, and gives the same answer each time.
///
/// # Errors
/// [`StoreError`] when the store fails or stays outpaced; the client may send the same request again.
pub async fn update<S: StockStore + IdempotencyStore, C: Clock>(
    deps: UpdateDeps<'_, S, C>,
    update: &Update,
) -> Result<UpdateResult, StoreError> {
    let UpdateDeps { store, clock, ids } = deps;
    let organization = &update.key.organization;
    let operation = bind(store, clock, organization, &update.idempotency_key, update.request_hash).await?;
    let Operation::Bound { name, time, known, .. } = operation else {
        return Ok(UpdateResult::KeyReused);
    };
    let settled = update_as(UpdateDeps { store, clock, ids }, update, &name, time).await?;
    let replayed = known && settled.repeated;
    Ok(UpdateResult::Settled { settled, replayed })
}

/// Applies an update under the name of an operation, for callers who bound none to a key.
///
/// # Errors
/// [`StoreError`] when the store fails or stays outpaced.
pub async fn update_as<S: StockStore, C: Clock>(
    deps: UpdateDeps<'_, S, C>,
    update: &Update,
    name: &str,
    time: Timestamp,
) -> Result<Settled, StoreError> {
    let event = StockEvent {
        id: deps.ids.event_id(name),
        time,
        source: Source::api(),
        actor: update.actor,
        body: EventBody::Request { available: update.delta.get(), reserved: 0, expected_version: update.version },
    };
    request(deps.store, deps.clock, &update.key, &event).await
}
