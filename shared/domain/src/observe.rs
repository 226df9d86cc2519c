//! Observations: what a source says the quantity is, made into a net effect on what we know.

use crate::decide::append;
use crate::{
    EntryKind, Means, Outcome, Past, Quantity, Rejection, Shadow, Source, StockEvent, StockLevel, Timestamp, Watermark,
};

/// An authority's count: sets the quantity as of its time, then applies again what happened later.
pub(crate) fn count(
    level: &mut StockLevel,
    event: &StockEvent,
    quantity: Quantity,
    means: Means,
    sequence: u64,
    past: &Past,
    now: Timestamp,
) -> Outcome {
    if !level.shadows.is_empty() && event.source != Source::api() {
        return Outcome::Rejected(Rejection::MixedAuthority);
    }
    let Some(effect) = count_effect(level, event.time, quantity, means, past) else {
        return Outcome::Rejected(Rejection::OutOfRange);
    };
    // A count that says what we know moves the watermark only; the first one of a level is news even then.
    if effect != 0 || level.observed.is_none() {
        let outcome = append(level, event, EntryKind::Count { means, stated: quantity.get() }, effect, 0, now);
        if outcome != Outcome::Applied {
            return outcome;
        }
    }
    level.observed = Some(Watermark { time: event.time, sequence, source: event.source.clone(), id: event.id });
    if means == Means::OnHand && event.source != Source::api() {
        level.counted = Some(Shadow { quantity: quantity.get(), time: event.time, sequence, id: event.id });
    }
    Outcome::Applied
}

/// A warehouse's count that somebody decided about. With a `past` it sets the level as of its time, even over a newer
/// word of our own; else it is only remembered as the warehouse's last word.
pub(crate) fn contested(
    level: &mut StockLevel,
    event: &StockEvent,
    quantity: Quantity,
    sequence: u64,
    past: Option<&Past>,
    now: Timestamp,
) -> Outcome {
    if let Some(past) = past {
        if !level.shadows.is_empty() {
            return Outcome::Rejected(Rejection::MixedAuthority);
        }
        let Some(effect) = count_effect(level, event.time, quantity, Means::OnHand, past) else {
            return Outcome::Rejected(Rejection::OutOfRange);
        };
        if effect != 0 || level.observed.is_none() {
            let kind = EntryKind::Count { means: Means::OnHand, stated: quantity.get() };
            let outcome = append(level, event, kind, effect, 0, now);
            if outcome != Outcome::Applied {
                return outcome;
            }
        }
        let mark = Watermark { time: event.time, sequence, source: event.source.clone(), id: event.id };
        // The watermark of counts never falls: deltas from before our own word stay part of it.
        if level.observed.as_ref().is_none_or(|observed| *observed < mark) {
            level.observed = Some(mark);
        }
    }
    level.counted = Some(Shadow { quantity: quantity.get(), time: event.time, sequence, id: event.id });
    Outcome::Applied
}

/// A merged source's observation: `available` moves by what changed since the same source's last one.
pub(crate) fn merge(
    level: &mut StockLevel,
    event: &StockEvent,
    quantity: Quantity,
    sequence: u64,
    past: &Past,
    now: Timestamp,
) -> Outcome {
    let api = Source::api();
    if level.observed.as_ref().is_some_and(|observed| observed.source != api) {
        return Outcome::Rejected(Rejection::MixedAuthority);
    }
    let nothing_set_it = level.observed.is_none() && level.shadows.is_empty();
    let effect = match level.shadows.get(&event.source) {
        Some(shadow) => quantity.get().checked_sub(shadow.quantity),
        None if nothing_set_it => count_effect(level, event.time, quantity, Means::Available, past),
        // The first word of a source about a level that others have set: only a base for the next.
        None => Some(0),
    };
    let Some(effect) = effect else {
        return Outcome::Rejected(Rejection::OutOfRange);
    };
    if effect != 0 || nothing_set_it {
        let outcome = append(level, event, EntryKind::Merged { stated: quantity.get() }, effect, 0, now);
        if outcome != Outcome::Applied {
            return outcome;
        }
    }
    let shadow = Shadow { quantity: quantity.get(), time: event.time, sequence, id: event.id };
    level.shadows.insert(event.source.clone(), shadow);
    Outcome::Applied
}

/// The change that makes the level what the source stated, plus everything that happened after it counted. A count
/// never changes `reserved`: it knows nothing of reservations.
fn count_effect(level: &StockLevel, time: Timestamp, quantity: Quantity, means: Means, past: &Past) -> Option<i64> {
    let mut target = quantity.get();
    for placed in level.journal(past).filter(|placed| placed.entry.outlives_counts() && placed.entry.time > time) {
        target = target.checked_add(placed.entry.available)?;
        if means == Means::OnHand {
            target = target.checked_add(placed.entry.reserved)?;
        }
    }
    if means == Means::OnHand {
        target = target.checked_sub(level.reserved)?;
    }
    target.checked_sub(level.available)
}
