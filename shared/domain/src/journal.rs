//! Journal entries and pages: the immutable record of what changed a level.

use crate::{EventId, Means, PAGE_ENTRIES, Timestamp};

/// A short code for the key that acted; 0 when the system itself did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ActorCode(pub u32);

/// What kind of event an entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A request that was accepted.
    Request,
    /// A fact delta.
    Delta,
    /// The end of a reservation.
    Settlement,
    /// No effect: keeps a reservation that was given up from being made late, by standing under its id.
    Void,
    /// An authority's count, with the number that it stated.
    Count {
        /// What was counted.
        means: Means,
        /// The number stated.
        stated: i64,
    },
    /// A merged source's observation, with the number that it stated.
    Merged {
        /// The number stated.
        stated: i64,
    },
}

/// One applied change of a level. Carries its *net effect*, so that the sum of the journal is the level; its version and
/// the quantity after it follow from its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The event that was applied.
    pub id: EventId,
    /// What kind of event it was.
    pub kind: EntryKind,
    /// Net change of available units.
    pub available: i64,
    /// Net change of reserved units.
    pub reserved: i64,
    /// Position of the event's source in the level's list of sources.
    pub source: u16,
    /// The key that acted.
    pub actor: ActorCode,
    /// The event's own time.
    pub time: Timestamp,
    /// When we applied it, by the clock of the process that did.
    pub committed_at: Timestamp,
    /// Short hash of the event's content.
    pub fingerprint: [u8; 4],
}

impl Entry {
    /// Whether an observation later in the journal, but earlier in time, must apply this effect again. Observations
    /// themselves are not: the newest one stands for all before it.
    pub const fn outlives_counts(&self) -> bool {
        matches!(self.kind, EntryKind::Request | EntryKind::Delta | EntryKind::Settlement)
    }
}

/// What a change comes to, as the change feed and the history name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeType {
    /// Units came.
    StockIncreased,
    /// Units left.
    StockDecreased,
    /// Somebody counted.
    StockSet,
    /// Units were set aside for an order.
    StockReserved,
    /// Units that were set aside are for sale again.
    StockReleased,
    /// Units that were set aside were shipped.
    StockFulfilled,
}

impl ChangeType {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StockIncreased => "StockIncreased",
            Self::StockDecreased => "StockDecreased",
            Self::StockSet => "StockSet",
            Self::StockReserved => "StockReserved",
            Self::StockReleased => "StockReleased",
            Self::StockFulfilled => "StockFulfilled",
        }
    }
}

impl Entry {
    /// What the change comes to, by its kind and its net effect.
    pub const fn change_type(&self) -> ChangeType {
        match self.kind {
            EntryKind::Count { .. } => ChangeType::StockSet,
            // A merged source's first word sets a level, also to what it was.
            EntryKind::Merged { .. } if self.available == 0 => ChangeType::StockSet,
            EntryKind::Settlement if self.reserved < 0 && self.available == 0 => ChangeType::StockFulfilled,
            EntryKind::Settlement | EntryKind::Void => ChangeType::StockReleased,
            EntryKind::Request if self.reserved > 0 => ChangeType::StockReserved,
            EntryKind::Request if self.reserved < 0 => ChangeType::StockReleased,
            _ if self.available < 0 => ChangeType::StockDecreased,
            _ => ChangeType::StockIncreased,
        }
    }
}

/// Sixteen entries that left their level's item: versions `16k + 1 ..= 16k + 16`, immutable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Version of the first entry.
    pub first_version: u64,
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// Names of the sources that the entries point to.
    pub sources: Vec<crate::Source>,
}

impl Page {
    /// When the first entry was committed: pages are kept in this order.
    pub fn committed_at(&self) -> Timestamp {
        self.entries.first().map_or(Timestamp::EPOCH, |entry| entry.committed_at)
    }

    /// Whether the page has the only shape that is ever written.
    pub fn is_whole(&self) -> bool {
        self.entries.len() == PAGE_ENTRIES && self.first_version % PAGE_ENTRIES as u64 == 1
    }
}
