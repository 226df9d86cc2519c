//! A stock update under an idempotency key: the record, the effect under the record's id, the answer from the journal.

use evenstock_domain::{ActorCode, Delta, EventBody, EventIdKey, LevelKey, Source, StockEvent};

use crate::{Clock, IdempotencyStore, OperationClaim, OperationRecord, Settled, StockStore, StoreError, request};

/// How long a key is remembered, in milliseconds: 30 days, where 24 hours are promised.
const KEY_LIFETIME_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Tries at claiming a key whose outcome stays unknown.
const CLAIM_ATTEMPTS_MAX: u32 = 8;

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
    let now = deps.clock.now();
    let fresh = OperationRecord {
        organization: update.key.organization.clone(),
        key: update.idempotency_key.clone(),
        request_hash: update.request_hash,
        time: now,
        expires_at: now.plus_millis(KEY_LIFETIME_MS),
    };
    let (record, known) = match claim(deps.store, deps.clock, &fresh).await? {
        OperationClaim::New => (fresh, false),
        OperationClaim::Existing(record) if record.request_hash != update.request_hash => {
            return Ok(UpdateResult::KeyReused);
        }
        OperationClaim::Existing(record) => (record, true),
    };
    let event = StockEvent {
        id: deps.ids.event_id(&operation_name(&record)),
        time: record.time,
        source: Source::api(),
        actor: update.actor,
        body: EventBody::Request { available: update.delta.get(), reserved: 0, expected_version: update.version },
    };
    let settled = request(deps.store, deps.clock, &update.key, &event).await?;
    let replayed = known && settled.repeated;
    Ok(UpdateResult::Settled { settled, replayed })
}

/// The effect's name. Holds the record's time, so that a key used anew after it expired names another effect.
fn operation_name(record: &OperationRecord) -> String {
    format!("idempotency/{}/{}", record.time.as_millis(), record.key)
}

/// A put whose outcome is unknown is repeated: it then meets its own record, which says the same.
async fn claim<S: IdempotencyStore, C: Clock>(
    store: &S,
    clock: &C,
    record: &OperationRecord,
) -> Result<OperationClaim, StoreError> {
    for attempt in 1..CLAIM_ATTEMPTS_MAX {
        match store.claim(record).await {
            Err(error) if error.is_passing() => clock.back_off(attempt).await,
            settled => return settled,
        }
    }
    store.claim(record).await
}
