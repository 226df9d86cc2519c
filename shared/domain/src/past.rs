//! The part of a journal that has left its level: what a decision about an old event must look at.

use crate::{Entry, EventBody, Page, SEARCH_MARGIN_MS, StockEvent, StockLevel, Timestamp};

/// Journal pages from some time to the newest, read after the level was.
#[derive(Debug, Clone, Default)]
pub struct Past {
    pages: Vec<Page>,
    from: Option<Timestamp>,
}

impl Past {
    /// No pages: enough for every event later than the level's `spilled_through`.
    pub const fn none() -> Self {
        Self { pages: Vec::new(), from: None }
    }

    /// Pages in any order that reach back to the one before [`Past::search_start`] of `time`.
    pub fn reaching(time: Timestamp, mut pages: Vec<Page>) -> Self {
        pages.sort_by_key(|page| page.first_version);
        pages.dedup_by_key(|page| page.first_version);
        Self { pages, from: Some(time) }
    }

    /// Where a search for an event of this time begins. The page *before* the first one that was begun at or after
    /// this point belongs to it.
    pub const fn search_start(time: Timestamp) -> Timestamp {
        time.plus_millis(-SEARCH_MARGIN_MS)
    }

    /// How far back the pages must reach before these events can be decided on this level; `None` when the level alone
    /// tells.
    pub fn needed(level: &StockLevel, events: &[StockEvent]) -> Option<Timestamp> {
        events.iter().filter(|event| needs_past(level, event)).map(StockEvent::looks_back_to).min()
    }

    /// Whether these pages reach back far enough to decide an event of this time.
    pub(crate) fn reaches(&self, time: Timestamp) -> bool {
        self.from.is_some_and(|from| from <= time)
    }

    /// Whether the pages lie side by side and lead up to the level's oldest entry. When they do not, a page is missing
    /// and neither versions nor quantities can be told from positions.
    pub fn adjoins(&self, level: &StockLevel) -> bool {
        let first_recent = level.first_recent_version();
        let mut next = self.pages.first().map_or(first_recent, |page| page.first_version);
        for page in self.pages.iter().filter(|page| page.first_version < first_recent) {
            if page.first_version != next || !page.is_whole() {
                return false;
            }
            next = next.saturating_add(page.entries.len() as u64);
        }
        next == first_recent
    }

    /// Entries older than `version`, newest first. A page may also hold entries that are still in the level: a writer
    /// that died between storing the page and dropping its entries leaves such a copy.
    pub(crate) fn entries_before(&self, version: u64) -> impl Iterator<Item = &Entry> {
        self.pages
            .iter()
            .rev()
            .filter(move |page| page.first_version < version)
            .flat_map(|page| page.entries.iter().rev())
    }
}

/// Deltas that a count contains and observations that are stale need no search: their outcome does not depend on it.
fn needs_past(level: &StockLevel, event: &StockEvent) -> bool {
    event.looks_back_to() <= level.spilled_through
        && match event.body {
            EventBody::Delta(_) => level.observed.as_ref().is_none_or(|observed| event.time > observed.time),
            EventBody::Count { .. } => level.observed.as_ref().is_none_or(|observed| event.time >= observed.time),
            EventBody::Merged { .. } => !level.shadows.contains_key(&event.source),
            EventBody::Request { .. } | EventBody::Settlement { .. } | EventBody::Undo { .. } => true,
        }
}
