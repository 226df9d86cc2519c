//! Disputes with the central system as conflicts that people see and settle, and following what they decided.
//!
//! In such a conflict the `warehouse` side is ours and the `central` side is the other system's. The copy carries the whole
//! dispute, so the conflict is a function of it: whoever finds it missing records it again.

use evenstock_domain::{
    CentralCopy, CentralDispute, ConflictPolicy, Contradiction, Delta, DisputeReason, EventBody, EventIdKey, LevelKey,
    Outcome, Quantity, Source, StockEvent, difference,
};
use sha2::{Digest, Sha256};

use crate::{
    CentralSide, Clock, Conflict, ConflictChoice, ConflictResolution, StockStore, StoreError, WarehouseCount,
    apply_group,
};

/// The source of the changes by which we take over the central system's number, and the name of its breaker.
pub const CENTRAL_SOURCE: &str = "central-inventory";

/// Bytes of the hash in a conflict's id.
const HASH_BYTES: usize = 10;

/// [`CENTRAL_SOURCE`] as a source.
pub(super) fn central_source() -> Source {
    // The name is a good one, so the other arm is never taken.
    Source::parse(CENTRAL_SOURCE).unwrap_or_else(|_| Source::api())
}

/// The conflict that a dispute is, open.
pub fn central_conflict(key: &LevelKey, dispute: &CentralDispute) -> Conflict {
    let CentralDispute { reason, ours, ours_at, theirs, expected, at } = dispute;
    let units = ours.quantity.clamp(0, Quantity::MAX);
    Conflict {
        id: conflict_id(key, dispute),
        organization: key.organization.clone(),
        count: WarehouseCount {
            sku: key.sku.clone(),
            warehouse: key.location.clone(),
            quantity: Quantity::new(units).unwrap_or_default(),
            before: Some(*expected),
            time: *ours_at,
            position: Some(ours.version),
        },
        central: CentralSide { quantity: theirs.quantity, version: theirs.version, time: *at },
        contradiction: match reason {
            DisputeReason::Differs => Contradiction::CentralDiffers,
            DisputeReason::Refuses => Contradiction::CentralRefuses,
        },
        policy: ConflictPolicy::Manual,
        found_at: *at,
        resolution: None,
    }
}

/// A function of the dispute: two of one level never have the same versions and time.
pub(super) fn conflict_id(key: &LevelKey, dispute: &CentralDispute) -> String {
    let versions = format!("{}@{}", dispute.ours.version, dispute.theirs.version);
    let mut hash = Sha256::new_with_prefix(CENTRAL_SOURCE);
    for part in [key.location.as_str(), key.sku.as_str(), &versions] {
        // Names hold no control characters, so no two conflicts hash the same bytes.
        hash.update([0]);
        hash.update(part);
    }
    let digest = hash.finalize();
    format!("{:014}-{}", dispute.at.as_millis(), hex::encode(digest.get(..HASH_BYTES).unwrap_or_default()))
}

/// The copy that follows from a decision. Where the central system's number counts, our level takes it over first, under a
/// name of its own: doing so again changes nothing.
pub(super) async fn follow_decision<S: StockStore, C: Clock>(
    (store, clock, ids): (&S, &C, &EventIdKey),
    key: &LevelKey,
    dispute: &CentralDispute,
    resolution: &ConflictResolution,
) -> Result<CentralCopy, StoreError> {
    let ours_counts = resolution.choice != ConflictChoice::Central;
    let taken = difference(dispute.theirs.quantity, dispute.ours.quantity).and_then(|delta| Delta::new(delta).ok());
    let Some(delta) = taken.filter(|_| !ours_counts) else {
        return Ok(CentralCopy::decided(dispute, ours_counts));
    };
    let event = StockEvent {
        id: ids.event_id(&format!("{CENTRAL_SOURCE}/{}", conflict_id(key, dispute))),
        time: resolution.at,
        source: central_source(),
        actor: resolution.actor,
        body: EventBody::Delta(delta),
    };
    let applied = apply_group(store, clock, key, core::slice::from_ref(&event)).await;
    if let Some(failure) = applied.failure {
        return Err(failure);
    }
    match applied.outcomes.first() {
        Some(Outcome::Applied | Outcome::Duplicate) => Ok(CentralCopy::decided(dispute, false)),
        // Somebody counted since: that number is newer than the decision, and the central system is told it.
        Some(Outcome::Absorbed | Outcome::Stale) => Ok(CentralCopy::decided(dispute, true)),
        outcome => Err(StoreError::Corrupt {
            key: format!("{}/{}/{}", key.organization, key.sku, key.location),
            reason: format!("it cannot take over the central system's number: {outcome:?}"),
        }),
    }
}
