//! A request as one blind write: the conditions under which it may be appended to a level that nobody has read.
//!
//! The conditions are stricter than [`crate::decide`]: whatever they let through, `decide` would apply, with the same
//! result. What they refuse is decided by reading.

use crate::{Entry, EntryKind, EventBody, PAGE_ENTRIES, Quantity, Source, StockEvent, StockLevel, Timestamp};

/// A request that can be tried without reading its level first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlindRequest {
    /// The entry to append. Its source is number 0, which is `api` on every level.
    pub entry: Entry,
    /// The version that the caller believes to be current; `None` for whatever it is.
    pub expected_version: Option<u64>,
    /// The version through which the whole journal was searched for this request in vain. `None` when it was not: then
    /// the request must be later than everything that was spilled.
    pub absent_through: Option<u64>,
}

impl BlindRequest {
    /// The blind form of a request or a settlement from `api`; `None` for every other event.
    pub fn new(event: &StockEvent, now: Timestamp) -> Option<Self> {
        let (kind, available, reserved, expected_version) = match event.body {
            EventBody::Request { available, reserved, expected_version } => {
                (EntryKind::Request, available, reserved, expected_version)
            }
            // Never refused, so it needs no units; it takes none either, because it only ends what was reserved.
            EventBody::Settlement { available: available @ 0.., reserved: reserved @ ..=0 } => {
                (EntryKind::Settlement, available, reserved, None)
            }
            _ => return None,
        };
        let entry = Entry {
            id: event.id,
            kind,
            available,
            reserved,
            source: 0,
            actor: event.actor,
            time: event.time,
            committed_at: now,
            fingerprint: event.body.fingerprint(),
        };
        (event.source == Source::api()).then_some(Self { entry, expected_version, absent_through: None })
    }

    /// Headroom that the level must have; `None` when the request takes no units.
    pub const fn units_needed(&self) -> Option<i64> {
        if self.entry.available < 0 { self.entry.available.checked_neg() } else { None }
    }

    /// The greatest `available` to which the request may still add; `None` when it adds none.
    pub const fn available_max(&self) -> Option<i64> {
        if self.entry.available > 0 { Some(Quantity::MAX - self.entry.available) } else { None }
    }

    /// The greatest `reserved` to which the request may still add; `None` when it adds none.
    pub const fn reserved_max(&self) -> Option<i64> {
        if self.entry.reserved > 0 { Some(Quantity::MAX - self.entry.reserved) } else { None }
    }

    /// Pages that may have been spilled so that every entry after the searched ones still stands in the level, where its
    /// id would be found; `None` when nothing was searched.
    pub const fn pages_max(&self) -> Option<u64> {
        match self.absent_through {
            Some(version) => Some(version / PAGE_ENTRIES as u64),
            None => None,
        }
    }

    /// Whether the level as it stands meets every condition.
    pub fn fits(&self, level: &StockLevel) -> bool {
        self.units_needed().is_none_or(|units| level.headroom() >= units)
            && self.available_max().is_none_or(|max| level.available <= max)
            && self.reserved_max().is_none_or(|max| level.reserved <= max)
            && self.expected_version.is_none_or(|version| level.version == version)
            && level.has_room()
            && match self.pages_max() {
                None => level.spilled_through < self.entry.time,
                Some(pages) => level.pages_spilled() <= pages,
            }
            && !level.recent.iter().any(|entry| entry.id == self.entry.id)
    }

    /// Appends the entry. Only for a level that [`BlindRequest::fits`].
    pub fn apply(&self, level: &mut StockLevel) {
        level.available = level.available.saturating_add(self.entry.available);
        level.reserved = level.reserved.saturating_add(self.entry.reserved);
        level.version = level.version.saturating_add(1);
        level.updated_at = self.entry.committed_at;
        level.recent.push(self.entry.clone());
    }
}
