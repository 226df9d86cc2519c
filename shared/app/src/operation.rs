//! Operations under an idempotency key: what makes the same request, sent again, the same operation.

use evenstock_domain::{OrganizationId, Timestamp};

use crate::{Clock, IdempotencyStore, OperationClaim, OperationRecord, StoreError};

/// How long a key is remembered, in milliseconds: 30 days, where 24 hours are promised.
const KEY_LIFETIME_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Tries at claiming a key whose outcome stays unknown.
const CLAIM_ATTEMPTS_MAX: u32 = 8;

/// How long a claim is tried, in milliseconds.
const CLAIM_PATIENCE_MS: i64 = 2_000;

/// A request bound to its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// The key stands for this request.
    Bound {
        /// Names the operation's effect. Holds the time, so that a key used anew after it expired names another one.
        name: String,
        /// When the key was first seen: the operation's time for ever.
        time: Timestamp,
        /// Whether the key was claimed before this call.
        known: bool,
        /// The answer that was kept with it.
        answer: Option<String>,
    },
    /// The key stands for another request.
    KeyReused,
}

/// Binds a request to its idempotency key, or finds what the key is bound to.
///
/// # Errors
/// [`StoreError`] when the record can neither be put nor read.
pub async fn bind<S: IdempotencyStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    key: &str,
    request_hash: [u8; 32],
) -> Result<Operation, StoreError> {
    let now = clock.now();
    let fresh = OperationRecord {
        organization: organization.clone(),
        key: key.to_owned(),
        request_hash,
        time: now,
        expires_at: now.plus_millis(KEY_LIFETIME_MS),
        answer: None,
    };
    let (record, known) = match claim(store, clock, &fresh).await? {
        OperationClaim::New => (fresh, false),
        OperationClaim::Existing(record) if record.request_hash != request_hash => return Ok(Operation::KeyReused),
        OperationClaim::Existing(record) => (record, true),
    };
    let name = format!("idempotency/{}/{}", record.time.as_millis(), record.key);
    Ok(Operation::Bound { name, time: record.time, known, answer: record.answer })
}

/// A put whose outcome is unknown is repeated: it then meets its own record, which says the same.
async fn claim<S: IdempotencyStore, C: Clock>(
    store: &S,
    clock: &C,
    record: &OperationRecord,
) -> Result<OperationClaim, StoreError> {
    let give_up = clock.now().plus_millis(CLAIM_PATIENCE_MS);
    for attempt in 1..CLAIM_ATTEMPTS_MAX {
        match store.claim(record).await {
            Err(error) if error.is_passing() && clock.now() <= give_up => clock.back_off(attempt).await,
            settled => return settled,
        }
    }
    store.claim(record).await
}

/// Keeps an operation's answer for its replays, and gives the one that counts: a twin may have been faster.
///
/// # Errors
/// [`StoreError`] when it can neither be kept nor read. The operation was done; sent again, it is done again.
pub async fn keep_answer<S: IdempotencyStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    key: &str,
    time: Timestamp,
    answer: String,
) -> Result<String, StoreError> {
    for attempt in 1..=CLAIM_ATTEMPTS_MAX {
        match store.keep_answer(organization, key, time, &answer).await {
            Ok(kept) => return Ok(kept.unwrap_or(answer)),
            Err(error) if error.is_passing() && attempt < CLAIM_ATTEMPTS_MAX => clock.back_off(attempt).await,
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::exhausted(CLAIM_ATTEMPTS_MAX))
}
