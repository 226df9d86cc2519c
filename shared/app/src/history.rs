//! A level's journal, newest change first, from its item and its pages.

use evenstock_domain::{Entry, LevelKey, OWN_CLOCK_MARGIN_MS, PAGE_ENTRIES, Page, Source, StockLevel, Timestamp};

use crate::{StockStore, StoreError};

/// Pages read beyond those that are needed: writers whose clocks differ begin neighbouring pages out of order.
const PAGES_SPARE: usize = 8;

/// Where a history goes on: the newest change not shown yet, and what follows from the changes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryPosition {
    /// Its version.
    pub version: u64,
    /// Available units after it.
    pub available: i64,
    /// When the change after it was committed.
    pub time: Timestamp,
}

/// One change of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryItem {
    /// The journal entry.
    pub entry: Entry,
    /// Who stated or caused it.
    pub source: Source,
    /// The level's version after it.
    pub version: u64,
    /// Available units after it.
    pub available_after: i64,
}

/// A part of a history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryPage {
    /// Changes, newest first.
    pub items: Vec<HistoryItem>,
    /// Where it goes on; `None` at the end.
    pub next: Option<HistoryPosition>,
}

/// Reads at most `limit` changes of a level, newest first, from `position` on. `None` when there is no such level.
///
/// The history ends where its pages have run out.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub async fn history<S: StockStore>(
    store: &S,
    key: &LevelKey,
    position: Option<HistoryPosition>,
    limit: usize,
) -> Result<Option<HistoryPage>, StoreError> {
    let Some(stored) = store.load(key).await? else {
        return Ok(None);
    };
    let level = stored.level;
    let now = Timestamp::MAX;
    let start = HistoryPosition { version: level.version, available: level.available, time: now };
    let mut walk = Walk { at: position.unwrap_or(start), level: &level, items: Vec::new(), limit };
    walk.take(level.first_recent_version(), &level.recent);
    if walk.wants_more() {
        let missing = limit.saturating_sub(walk.items.len()) / PAGE_ENTRIES + 2;
        let until = walk.at.time.plus_millis(OWN_CLOCK_MARGIN_MS);
        let wanted = missing.saturating_add(PAGES_SPARE);
        let mut pages = store.pages_before(key, walk.at.version, until, wanted).await?;
        let all = pages.len() < wanted;
        pages.sort_by_key(|page| core::cmp::Reverse(page.first_version));
        let before = walk.at;
        pages.iter().for_each(|page| walk.take_page(page));
        // Nothing of a full answer adjoins: the page that does lies further back in time. An emptier one says that
        // the pages have run out.
        if walk.at == before && !all {
            return Err(StoreError::exhausted(1));
        }
        if all && walk.wants_more() {
            return Ok(Some(HistoryPage { items: walk.items, next: None }));
        }
    }
    let next = (walk.at.version > 0).then_some(walk.at);
    Ok(Some(HistoryPage { items: walk.items, next }))
}

/// A walk back through a journal.
struct Walk<'a> {
    at: HistoryPosition,
    level: &'a StockLevel,
    items: Vec<HistoryItem>,
    limit: usize,
}

impl Walk<'_> {
    fn wants_more(&self) -> bool {
        self.at.version > 0 && self.items.len() < self.limit
    }

    fn take_page(&mut self, page: &Page) {
        self.take(page.first_version, &page.entries);
    }

    /// Takes what these side-by-side entries hold of the walk's next versions, the first of which is `first_version`.
    fn take(&mut self, first_version: u64, entries: &[Entry]) {
        while self.wants_more() {
            let place = self.at.version.checked_sub(first_version).and_then(|place| usize::try_from(place).ok());
            let Some(entry) = place.and_then(|place| entries.get(place)) else {
                return;
            };
            // The list of sources only grows, so the level's names those of every page.
            let source = self.level.sources.get(usize::from(entry.source)).cloned().unwrap_or_else(Source::api);
            let HistoryPosition { version, available, .. } = self.at;
            self.items.push(HistoryItem { entry: entry.clone(), source, version, available_after: available });
            self.at = HistoryPosition {
                version: version.saturating_sub(1),
                available: available.saturating_sub(entry.available),
                time: entry.committed_at,
            };
        }
    }
}
