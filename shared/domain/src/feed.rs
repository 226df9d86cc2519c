//! The change feed of one organization: pages of changes, numbered without gaps, and the marker that keeps the numbers
//! rising when every page is gone.
//!
//! Owns the decisions: which page to put next, what the newest number is, and from where on an offset can be served.
//! Knows no store. Pages are put one after the other under the number of their first change, each only if that number
//! is free; the marker is written only over what was read. Those two conditions are all that orders publishers.

use crate::{CHANGE_BYTES_MAX, Change, Timestamp, encode_change};

/// Changes of one page at most.
pub const FEED_PAGE_CHANGES_MAX: usize = 100;

/// Bytes of one page's changes at most.
pub const FEED_PAGE_BYTES_MAX: usize = 16 * 1024;

/// Numbers that the ceiling is raised by.
pub const CEILING_STEP: u64 = 10_000;

/// How far our clocks and the stream's may differ, in milliseconds: a page that holds a change was appended, by its
/// own clock, at most so long before the change's record was created.
pub const FEED_CLOCK_MARGIN_MS: i64 = 5 * 60 * 1000;

/// How long expired pages stay in the table at least, in milliseconds. A publisher may go on from a page that it read
/// as not expired for half as long.
pub const FEED_PAGE_GRACE_MS: i64 = 2 * 24 * 60 * 60 * 1000;

/// How long after it expired a page may still be gone on from, in milliseconds. Well under [`FEED_PAGE_GRACE_MS`], so that
/// no page is deleted between being read and being gone on from: readers take the ceiling for the newest number as soon as
/// it is, and going on below that would leave them ahead.
const RESUME_MS: i64 = FEED_PAGE_GRACE_MS / 2;

/// The age of a marker up to which a feed without pages has never had one since the marker was set, in milliseconds:
/// well under [`FEED_PAGE_GRACE_MS`], and the page would still be there.
const NEVER_PUT_MS: i64 = 24 * 60 * 60 * 1000;

/// The age of a marker up to which its number may be used for a first page without setting it anew, in milliseconds.
/// Far from [`NEVER_PUT_MS`], so that clocks that differ never make one publisher use a number that another moves.
const FRESH_MS: i64 = 10 * 60 * 1000;

/// A change with its number in the feed of its organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEvent {
    /// Its number: ascending, without gaps within what is kept.
    pub seq: u64,
    /// The change.
    pub change: Change,
}

/// Changes that stand side by side in the feed. Immutable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePage {
    /// Number of the first change.
    pub first_seq: u64,
    /// The changes, never none.
    pub changes: Vec<Change>,
    /// When it was put, by its publisher's clock, and never before the page in front of it.
    pub appended_at: Timestamp,
    /// From when on readers ignore it, whether it is there or not.
    pub expires: Timestamp,
}

impl ChangePage {
    /// The number behind its last change.
    pub fn next_seq(&self) -> u64 {
        self.first_seq.saturating_add(self.changes.len() as u64)
    }

    /// Number of its last change.
    pub fn last_seq(&self) -> u64 {
        self.next_seq().saturating_sub(1)
    }

    /// Whether readers ignore it.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires <= now
    }

    /// Its changes with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, &Change)> {
        (self.first_seq..).zip(&self.changes)
    }
}

/// What a feed remembers beside its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedMarker {
    /// Number of the first change that readers may still be given: pages before it do not count.
    pub start: u64,
    /// At least every number that was ever given.
    pub ceiling: u64,
    /// When `start` was set.
    pub set_at: Timestamp,
}

/// The newest end of a feed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedTail {
    /// The marker; `None` when nothing was ever published.
    pub marker: Option<FeedMarker>,
    /// Pages that are there, expired or not, newest first.
    pub pages: Vec<ChangePage>,
}

impl FeedTail {
    /// The newest page that readers are given, expired or not.
    pub fn newest(&self) -> Option<&ChangePage> {
        let start = self.marker.map(|marker| marker.start)?;
        self.pages.first().filter(|page| page.first_seq >= start)
    }

    /// The newest number. A reader who has come so far misses nothing.
    ///
    /// When all pages are gone the feed goes on above the ceiling, so the ceiling stands for it.
    pub fn head(&self, now: Timestamp) -> u64 {
        match (self.marker, self.newest()) {
            (None, _) => 0,
            (Some(_), Some(page)) => page.last_seq(),
            (Some(marker), None) if is_younger(marker, NEVER_PUT_MS, now) => marker.start.saturating_sub(1),
            (Some(marker), None) => marker.ceiling,
        }
    }
}

/// Sizes and times of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedLimits {
    /// How long readers are given a page, in milliseconds.
    pub retention_ms: i64,
    /// Changes of a page.
    pub page_changes: usize,
    /// Bytes of a page.
    pub page_bytes: usize,
    /// Numbers that the ceiling is raised by.
    pub ceiling_step: u64,
}

impl FeedLimits {
    /// The limits of a deployment that keeps pages for `hours` hours.
    pub fn keeping_hours(hours: u32) -> Self {
        Self {
            retention_ms: i64::from(hours) * 60 * 60 * 1000,
            page_changes: FEED_PAGE_CHANGES_MAX,
            page_bytes: FEED_PAGE_BYTES_MAX,
            ceiling_step: CEILING_STEP,
        }
    }
}

/// The next write of a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedWrite {
    /// Write the marker over the one that was read, then look again.
    Mark(FeedMarker),
    /// Put this page if its first number is free.
    Put(ChangePage),
}

/// What a publisher writes next, who has changes that stand in no page: a page behind the newest one, or the marker
/// that must come before it.
///
/// The marker is written before a number above the ceiling is given, and before the feed goes on from a page that has
/// expired or is gone, or may be gone in a moment. The latter moves `start`: all pages before it are expired, so nothing is dropped that a reader
/// could have had, and two publishers who see different pages there meet in the condition of that one write.
pub fn next_write(limits: &FeedLimits, tail: &FeedTail, missing: &[Change], now: Timestamp) -> FeedWrite {
    let step = limits.ceiling_step;
    let Some(marker) = tail.marker else {
        return FeedWrite::Mark(FeedMarker { start: 1, ceiling: step, set_at: now });
    };
    let first_seq = match tail.newest() {
        Some(page) if page.is_expired(now) && !page.is_expired(now.plus_millis(-RESUME_MS)) => {
            return FeedWrite::Mark(FeedMarker { start: page.next_seq(), set_at: now, ..marker });
        }
        Some(page) if !page.is_expired(now) => page.next_seq(),
        None if is_younger(marker, FRESH_MS, now) => marker.start,
        None if is_younger(marker, NEVER_PUT_MS, now) => {
            return FeedWrite::Mark(FeedMarker { set_at: now, ..marker });
        }
        Some(_) | None => {
            let (start, ceiling) = (marker.ceiling.saturating_add(1), marker.ceiling.saturating_add(step));
            return FeedWrite::Mark(FeedMarker { start, ceiling, set_at: now });
        }
    };
    let mut appended_at = now.max(marker.set_at);
    if let Some(page) = tail.pages.first() {
        appended_at = appended_at.max(page.appended_at);
    }
    let changes = fill(limits, missing);
    let page = ChangePage { first_seq, changes, appended_at, expires: appended_at.plus_millis(limits.retention_ms) };
    if page.last_seq() > marker.ceiling {
        return FeedWrite::Mark(FeedMarker { ceiling: marker.ceiling.saturating_add(step), ..marker });
    }
    FeedWrite::Put(page)
}

/// As many changes as one page takes; at least one.
fn fill(limits: &FeedLimits, missing: &[Change]) -> Vec<Change> {
    let mut bytes = 0;
    let fitting = missing.iter().take(limits.page_changes).take_while(|change| {
        bytes += encode_change(change).len();
        bytes <= limits.page_bytes.max(CHANGE_BYTES_MAX)
    });
    fitting.cloned().collect()
}

fn is_younger(marker: FeedMarker, age_ms: i64, now: Timestamp) -> bool {
    now.millis_since(marker.set_at) < age_ms
}

/// Whether a feed can be followed from an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    /// There is nothing behind it yet.
    AtHead,
    /// Changes stand behind it, unless they have expired.
    Behind,
    /// No change has this number yet.
    Ahead,
    /// Changes behind it are no longer kept.
    Gone,
}

/// Where an offset stands in the feed with this end.
pub fn place_offset(tail: &FeedTail, offset: u64, now: Timestamp) -> Offset {
    let head = tail.head(now);
    let start = tail.marker.map_or(1, |marker| marker.start);
    match offset.cmp(&head) {
        core::cmp::Ordering::Greater => Offset::Ahead,
        core::cmp::Ordering::Equal => Offset::AtHead,
        core::cmp::Ordering::Less if tail.newest().is_none() || offset.saturating_add(1) < start => Offset::Gone,
        core::cmp::Ordering::Less => Offset::Behind,
    }
}

/// The changes behind `offset` that stand side by side in `pages`, oldest page first, at most `limit`. `None` when the
/// first of them is no longer kept.
pub fn events_behind(pages: &[ChangePage], offset: u64, limit: usize, now: Timestamp) -> Option<Vec<FeedEvent>> {
    let mut events: Vec<FeedEvent> = Vec::new();
    let mut next = offset.saturating_add(1);
    for page in pages {
        if page.next_seq() <= next {
            continue;
        }
        if page.is_expired(now) || page.first_seq > next {
            break;
        }
        let wanted = page.numbered().filter(|(seq, _)| *seq >= next);
        let room = limit.saturating_sub(events.len());
        events.extend(wanted.take(room).map(|(seq, change)| FeedEvent { seq, change: change.clone() }));
        next = page.next_seq();
        if events.len() >= limit {
            break;
        }
    }
    (!events.is_empty()).then_some(events)
}
