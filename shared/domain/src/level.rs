//! The stock level: what one item of the table says about one SKU at one location.

use std::collections::BTreeMap;

use crate::{Entry, EventId, PAGE_ENTRIES, Page, Past, Quantity, RECENT_ENTRIES_MAX, Source, Timestamp};

/// Place of an observation in the order of observations: source time first, then the tie-breaks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watermark {
    /// When the source counted, by its own clock.
    pub time: Timestamp,
    /// Log position, or run and row number; 0 where the source has none.
    pub sequence: u64,
    /// Who counted.
    pub source: Source,
    /// Which event said so.
    pub id: EventId,
}

/// What a source said last: of a merged one the base of its next three-way merge, of a warehouse what its next change
/// should begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The quantity it stated.
    pub quantity: i64,
    /// When, by its own clock.
    pub time: Timestamp,
    /// Tie-break within one millisecond.
    pub sequence: u64,
    /// Which event said so.
    pub id: EventId,
}

/// What the seller wants at this level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Requests may take `available` below 0. Stands above `safety_stock`.
    pub allow_backorder: bool,
    /// The seller wants to hear when `available` falls to this or below.
    pub low_stock: Option<Quantity>,
    /// Units that requests may not sell into. Facts may: they have happened.
    pub safety_stock: Quantity,
}

impl Policy {
    /// The least that a request may leave available.
    pub const fn floor(&self) -> i64 {
        if self.allow_backorder { -Quantity::MAX } else { self.safety_stock.get() }
    }
}

/// One SKU at one location, with the tail of its own journal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StockLevel {
    /// Units that can be sold; below 0 when facts oversold it.
    pub available: i64,
    /// Units held for orders.
    pub reserved: i64,
    /// Number of changes applied so far; the version of the newest entry.
    pub version: u64,
    /// When a change was last applied.
    pub updated_at: Timestamp,
    /// The newest authority observation.
    pub observed: Option<Watermark>,
    /// What a warehouse said last, whether it set the level or was overruled.
    pub counted: Option<Shadow>,
    /// What each merged source said last.
    pub shadows: BTreeMap<Source, Shadow>,
    /// The journal's tail, oldest first, at most [`RECENT_ENTRIES_MAX`].
    pub recent: Vec<Entry>,
    /// The greatest event time that has left `recent`.
    pub spilled_through: Timestamp,
    /// Names that the entries' `source` numbers point to. `api` comes first, so that a blind append knows its number.
    pub sources: Vec<Source>,
    /// What the seller allows.
    pub policy: Policy,
}

/// An entry with what follows from its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The entry.
    pub entry: Entry,
    /// The level's version after it.
    pub version: u64,
    /// Available units after it.
    pub available_after: i64,
}

impl StockLevel {
    /// A level that nothing has happened to yet.
    pub fn new() -> Self {
        Self { sources: vec![Source::api()], ..Self::default() }
    }

    /// Units on the shelf.
    pub const fn on_hand(&self) -> i64 {
        self.available.saturating_add(self.reserved)
    }

    /// Units that requests may still take: what is available above the policy's floor.
    pub const fn headroom(&self) -> i64 {
        self.available.saturating_sub(self.policy.floor())
    }

    /// Units to show as available: never below 0. Safety stock is part of them; only requests may not take it.
    pub const fn sellable(&self) -> i64 {
        if self.available > 0 { self.available } else { 0 }
    }

    /// Units that facts sold beyond what was there.
    pub const fn oversold(&self) -> i64 {
        if self.available < 0 { self.available.saturating_neg() } else { 0 }
    }

    /// Version of the oldest entry in `recent`.
    pub fn first_recent_version(&self) -> u64 {
        self.version.saturating_sub(self.recent.len() as u64).saturating_add(1)
    }

    /// Number of pages that left this level.
    pub fn pages_spilled(&self) -> u64 {
        self.version.saturating_sub(self.recent.len() as u64) / PAGE_ENTRIES as u64
    }

    /// Whether the journal's tail can take another entry.
    pub fn has_room(&self) -> bool {
        self.recent.len() < RECENT_ENTRIES_MAX
    }

    /// The oldest entries as a page, when there are enough for one.
    pub fn full_page(&self) -> Option<Page> {
        let entries = self.recent.get(..PAGE_ENTRIES)?.to_vec();
        Some(Page { first_version: self.first_recent_version(), entries, sources: self.sources.clone() })
    }

    /// Drops the oldest sixteen entries. To be called only once their page is stored, else history is lost.
    pub fn drop_page(&mut self) {
        if self.recent.len() >= PAGE_ENTRIES {
            let left = self.recent.split_off(PAGE_ENTRIES);
            let gone = core::mem::replace(&mut self.recent, left);
            let newest = gone.iter().map(|entry| entry.time).max().unwrap_or_default();
            self.spilled_through = self.spilled_through.max(newest);
        }
    }

    /// The journal from the oldest of `past` to now, each entry with the version and the quantity that follow from its
    /// position, newest first.
    pub fn journal<'a>(&'a self, past: &'a Past) -> impl Iterator<Item = Placed> + 'a {
        let tail = self.recent.iter().rev();
        let spilled = past.entries_before(self.first_recent_version());
        let mut version = self.version;
        let mut available = self.available;
        tail.chain(spilled).map(move |entry| {
            let placed = Placed { entry: entry.clone(), version, available_after: available };
            version = version.saturating_sub(1);
            available = available.saturating_sub(entry.available);
            placed
        })
    }

    /// Finds an event's entry, in `recent` and in as much of the past as is given.
    pub fn find(&self, id: EventId, past: &Past) -> Option<Placed> {
        self.journal(past).find(|placed| placed.entry.id == id)
    }

    /// The number of a source in this level's list, added when it is new.
    pub(crate) fn source_number(&mut self, source: &Source) -> Option<u16> {
        let known = self.sources.iter().position(|known| known == source);
        let position = known.unwrap_or_else(|| {
            self.sources.push(source.clone());
            self.sources.len() - 1
        });
        u16::try_from(position).ok()
    }
}
