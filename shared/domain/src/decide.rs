//! The decision: which of these events change this level, and how. Pure, total, one event at a time.

use crate::observe::{contested, count, merge};
use crate::{
    DELTA_AGE_MAX_MS, Entry, EntryKind, EventBody, EventId, Means, Past, Quantity, SOURCE_LEAD_MAX_MS, Source,
    StockEvent, StockLevel, Timestamp,
};

/// What became of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It changed the level, or moved a watermark or a shadow.
    Applied,
    /// It had been applied before.
    Duplicate,
    /// An observation older than the newest one.
    Stale,
    /// A fact that the newest count contains already.
    Absorbed,
    /// A request that would take more than there is.
    Insufficient,
    /// A request made against another version than the current one.
    VersionConflict,
    /// An event that can never be applied as it stands.
    Rejected(Rejection),
}

/// Why an event can never be applied as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Its source's clock leads ours by more than two minutes. Sent again later, it may be applied.
    #[error("its time is more than two minutes ahead")]
    AheadOfClock,
    /// It is older than the journal promises to remember.
    #[error("it is older than 15 days, so its repetition could not be recognized")]
    TooOld,
    /// It would take the level out of the range of numbers.
    #[error("it would take the quantity out of range")]
    OutOfRange,
    /// Its id belongs to an event with another content.
    #[error("its id was used before with another content")]
    IdReused,
    /// The reservation that it belongs to was given up before it came.
    #[error("it was given up before it came")]
    Voided,
    /// The level has an authority and merged sources cannot join it, or the other way round.
    #[error("a level has an authority or merged sources, never both")]
    MixedAuthority,
}

/// What [`decide`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The level after the decided events.
    pub level: StockLevel,
    /// One outcome for each decided event, in order. Fewer than the events given when the journal's tail is full, or
    /// when `past` does not reach far enough for the next one: commit, then decide the rest.
    pub outcomes: Vec<Outcome>,
    /// Whether the level differs from the one given, so that a write is needed.
    pub changed: bool,
}

/// Decides events in arrival order, each on its own and never by their sum.
///
/// Requests are refused when stock does not suffice. Facts never are. An observation wins by its source's time, never
/// by its arrival, and effects later than it survive it. `now` is when the result will be committed.
pub fn decide(level: &StockLevel, events: &[StockEvent], past: &Past, now: Timestamp) -> Decision {
    let mut next = level.clone();
    let mut outcomes = Vec::with_capacity(events.len());
    for event in events {
        if !next.has_room() {
            break;
        }
        match decide_one(&mut next, event, past, now) {
            Some(outcome) => outcomes.push(outcome),
            None => break,
        }
    }
    let changed = next != *level;
    Decision { level: next, outcomes, changed }
}

/// `None`: the past given does not reach far enough.
fn decide_one(level: &mut StockLevel, event: &StockEvent, past: &Past, now: Timestamp) -> Option<Outcome> {
    if let Some(known) = level.recent.iter().find(|entry| entry.id == event.id) {
        return Some(repeated(known, event));
    }
    let contained = level.observed.as_ref().is_some_and(|observed| event.time <= observed.time);
    if contained && matches!(event.body, EventBody::Delta(_) | EventBody::ForcedDelta(_)) {
        return Some(Outcome::Absorbed);
    }
    if let Some(outcome) = superseded(level, event) {
        return Some(outcome);
    }
    if Past::needed(level, core::slice::from_ref(event)).is_some_and(|start| !past.reaches(start)) {
        return None;
    }
    if event.time <= level.spilled_through
        && let Some(known) = level.find(event.id, past)
    {
        return Some(repeated(&known.entry, event));
    }
    if let Some(rejection) = out_of_time(event, now) {
        return Some(Outcome::Rejected(rejection));
    }
    Some(match event.body {
        EventBody::Request { available, reserved, expected_version } => {
            if expected_version.is_some_and(|expected| expected != level.version) {
                return Some(Outcome::VersionConflict);
            }
            request(level, event, available, reserved, now)
        }
        EventBody::Delta(delta) | EventBody::ForcedDelta(delta) => {
            append(level, event, EntryKind::Delta, delta.get(), 0, now)
        }
        EventBody::Settlement { available, reserved } => {
            append(level, event, EntryKind::Settlement, available, reserved, now)
        }
        EventBody::Undo { reserve, reserved_at, units } => undo(level, event, past, (reserve, reserved_at, units), now),
        EventBody::Count { quantity, means, sequence } => count(level, event, quantity, means, sequence, past, now),
        EventBody::Contested { quantity, sequence, stands } => {
            contested(level, event, quantity, sequence, stands.then_some(past), now)
        }
        EventBody::Merged { quantity, sequence } => merge(level, event, quantity, sequence, past, now),
    })
}

fn repeated(known: &Entry, event: &StockEvent) -> Outcome {
    if known.kind == EntryKind::Void {
        Outcome::Rejected(Rejection::Voided)
    } else if known.fingerprint == event.body.fingerprint() {
        Outcome::Duplicate
    } else {
        Outcome::Rejected(Rejection::IdReused)
    }
}

/// What becomes of an observation that does not come after the newest one of its kind.
fn superseded(level: &StockLevel, event: &StockEvent) -> Option<Outcome> {
    let by_counted = match event.body {
        EventBody::Count { means: Means::OnHand, sequence, .. } if event.source != Source::api() => {
            counted_before(level, event, sequence)
        }
        EventBody::Contested { sequence, .. } => return counted_before(level, event, sequence),
        _ => None,
    };
    if by_counted.is_some() {
        return by_counted;
    }
    let (newest, own) = match &event.body {
        EventBody::Count { sequence, .. } => {
            let newest = level.observed.as_ref()?;
            (
                (newest.time, newest.sequence, &newest.source, newest.id),
                (event.time, *sequence, &event.source, event.id),
            )
        }
        EventBody::Merged { sequence, .. } => {
            let newest = level.shadows.get(&event.source)?;
            ((newest.time, newest.sequence, &event.source, newest.id), (event.time, *sequence, &event.source, event.id))
        }
        EventBody::Request { .. }
        | EventBody::Delta(_)
        | EventBody::ForcedDelta(_)
        | EventBody::Settlement { .. }
        | EventBody::Undo { .. }
        | EventBody::Contested { .. } => return None,
    };
    if newest.3 == own.3 {
        Some(Outcome::Duplicate)
    } else if own <= newest {
        Some(Outcome::Stale)
    } else {
        None
    }
}

/// What becomes of a warehouse's count that does not come after the last one of a warehouse, whether that one set the
/// level or was only remembered.
fn counted_before(level: &StockLevel, event: &StockEvent, sequence: u64) -> Option<Outcome> {
    let counted = level.counted.as_ref()?;
    if counted.id == event.id {
        Some(Outcome::Duplicate)
    } else if (event.time, sequence, event.id) <= (counted.time, counted.sequence, counted.id) {
        Some(Outcome::Stale)
    } else {
        None
    }
}

/// Facts carry their source's clock. Requests and settlements carry ours.
fn out_of_time(event: &StockEvent, now: Timestamp) -> Option<Rejection> {
    let lead = event.time.millis_since(now);
    match event.body {
        EventBody::Delta(_) if lead < -DELTA_AGE_MAX_MS => Some(Rejection::TooOld),
        // Our own word on a level comes after every count there is, also after one whose source's clock leads ours.
        EventBody::Count { .. } if event.source == Source::api() => None,
        EventBody::Delta(_)
        | EventBody::ForcedDelta(_)
        | EventBody::Count { .. }
        | EventBody::Contested { .. }
        | EventBody::Merged { .. }
            if lead > SOURCE_LEAD_MAX_MS =>
        {
            Some(Rejection::AheadOfClock)
        }
        _ => None,
    }
}

fn request(level: &mut StockLevel, event: &StockEvent, available: i64, reserved: i64, now: Timestamp) -> Outcome {
    let (Some(available_after), Some(reserved_after)) =
        (level.available.checked_add(available), level.reserved.checked_add(reserved))
    else {
        return Outcome::Rejected(Rejection::OutOfRange);
    };
    if available < 0 && !level.policy.allow_backorder && available_after < level.policy.floor() {
        return Outcome::Insufficient;
    }
    let grows_out = available > 0 && available_after > Quantity::MAX || reserved > 0 && reserved_after > Quantity::MAX;
    let shrinks_out = available < 0 && available_after < -Quantity::MAX;
    if grows_out || shrinks_out {
        return Outcome::Rejected(Rejection::OutOfRange);
    }
    append(level, event, EntryKind::Request, available, reserved, now)
}

/// Gives back what a reserve took, or takes its place when it did not come yet.
fn undo(
    level: &mut StockLevel,
    event: &StockEvent,
    past: &Past,
    (reserve, reserved_at, units): (EventId, Timestamp, i64),
    now: Timestamp,
) -> Outcome {
    match level.find(reserve, past) {
        Some(known) if known.entry.kind == EntryKind::Void => Outcome::Duplicate,
        Some(_) => append(level, event, EntryKind::Settlement, units, units.saturating_neg(), now),
        None => {
            let void = StockEvent { id: reserve, time: reserved_at, ..event.clone() };
            append(level, &void, EntryKind::Void, 0, 0, now)
        }
    }
}

/// The one place where a level changes its quantities: one entry, one version.
pub(crate) fn append(
    level: &mut StockLevel,
    event: &StockEvent,
    kind: EntryKind,
    available: i64,
    reserved: i64,
    now: Timestamp,
) -> Outcome {
    let (Some(available_after), Some(reserved_after), Some(source)) = (
        level.available.checked_add(available),
        level.reserved.checked_add(reserved),
        level.source_number(&event.source),
    ) else {
        return Outcome::Rejected(Rejection::OutOfRange);
    };
    level.available = available_after;
    level.reserved = reserved_after;
    level.version = level.version.saturating_add(1);
    level.updated_at = now;
    level.recent.push(Entry {
        id: event.id,
        kind,
        available,
        reserved,
        source,
        actor: event.actor,
        time: event.time,
        committed_at: now,
        fingerprint: event.body.fingerprint(),
    });
    Outcome::Applied
}
