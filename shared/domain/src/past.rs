//! The part of a journal that has left its level: what a decision about an old event must look at.

use crate::{Entry, EventBody, OWN_CLOCK_MARGIN_MS, Page, SEARCH_MARGIN_MS, StockEvent, StockLevel, Timestamp};

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

    /// Pages in any order: those begun at or after `start`, and the one before.
    pub fn reaching(start: Timestamp, mut pages: Vec<Page>) -> Self {
        pages.sort_by_key(|page| page.first_version);
        pages.dedup_by_key(|page| page.first_version);
        Self { pages, from: Some(start) }
    }

    /// Where the search for pages must start so that these events can be decided on this level; `None` when the level
    /// alone tells. The page *before* the first one that was begun at or after the start belongs to the search.
    pub fn needed(level: &StockLevel, events: &[StockEvent]) -> Option<Timestamp> {
        events.iter().filter(|event| needs_past(level, event)).map(search_start).min()
    }

    /// Whether the search for these pages started early enough.
    pub(crate) fn reaches(&self, start: Timestamp) -> bool {
        self.from.is_some_and(|from| from <= start)
    }

    /// Whether the pages lie side by side and lead up to the level's oldest entry. When they do not, a page is missing
    /// and neither versions nor quantities can be told from positions.
    pub fn adjoins(&self, level: &StockLevel) -> bool {
        let first_recent = level.first_recent_version();
        let Some(first) = self.pages.first() else {
            return first_recent == 1;
        };
        let mut next = first.first_version;
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

/// A search of pages in the order of their keys: by the time they were begun, newest first.
///
/// That order is nearly the order of versions, but not quite: a writer reads its clock before it writes, so a page may
/// have been begun earlier, by the clock, than the page before it.
#[derive(Debug)]
pub struct PageSearch {
    start: Timestamp,
    /// The first page met that was begun before the start.
    anchor: Option<(Timestamp, u64)>,
    pages: Vec<Page>,
}

impl PageSearch {
    /// A search for pages begun at or after `start`, and the one before.
    pub const fn new(start: Timestamp) -> Self {
        Self { start, anchor: None, pages: Vec::new() }
    }

    /// Takes the next page. `true` when no further one can belong to the search.
    pub fn take(&mut self, page: Page) -> bool {
        let begun = page.committed_at();
        if let Some((anchor, _)) = self.anchor
            && begun < anchor.plus_millis(-OWN_CLOCK_MARGIN_MS)
        {
            return true;
        }
        if self.anchor.is_none() && begun < self.start {
            self.anchor = Some((begun, page.first_version));
        }
        self.pages.push(page);
        false
    }

    /// The pages found, without those of versions before the oldest one that was searched for.
    pub fn finish(self) -> Vec<Page> {
        let first = self.anchor.map_or(0, |(_, first_version)| first_version);
        self.pages.into_iter().filter(|page| page.first_version >= first).collect()
    }
}

/// An entry is committed at the earliest so much before its event's time.
fn search_start(event: &StockEvent) -> Timestamp {
    let margin = match event.body {
        EventBody::Request { .. } | EventBody::Settlement { .. } | EventBody::Undo { .. } => OWN_CLOCK_MARGIN_MS,
        EventBody::Delta(_)
        | EventBody::ForcedDelta(_)
        | EventBody::Count { .. }
        | EventBody::Contested { .. }
        | EventBody::Merged { .. } => SEARCH_MARGIN_MS,
    };
    event.looks_back_to().plus_millis(-margin)
}

/// Deltas that a count contains and observations that are stale need no search: their outcome does not depend on it.
fn needs_past(level: &StockLevel, event: &StockEvent) -> bool {
    event.looks_back_to() <= level.spilled_through
        && match event.body {
            EventBody::Delta(_) | EventBody::ForcedDelta(_) => {
                level.observed.as_ref().is_none_or(|observed| event.time > observed.time)
            }
            EventBody::Count { .. } => level.observed.as_ref().is_none_or(|observed| event.time >= observed.time),
            EventBody::Contested { .. } => level.counted.as_ref().is_none_or(|counted| event.time >= counted.time),
            EventBody::Merged { .. } => !level.shadows.contains_key(&event.source),
            EventBody::Request { .. } | EventBody::Settlement { .. } | EventBody::Undo { .. } => true,
        }
}
