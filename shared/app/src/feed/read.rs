//! Following the feed from an offset.

use evenstock_domain::{
    FEED_CLOCK_MARGIN_MS, FeedEvent, Offset, OrganizationId, Timestamp, events_behind, place_offset,
};

use super::FeedStore;
use crate::StoreError;

/// Pages at the end of the feed that are read to see where an offset stands; who follows closely finds all in them.
const TAIL_PAGES: u32 = 2;

/// Pages that one query reads.
const PAGES: u32 = 20;

/// How far before a snapshot its offset lies, in milliseconds: longer than a level may be missing from the listing, by the
/// clock of whoever put the page with its change.
const SNAPSHOT_MARGIN_MS: i64 = 60_000 + FEED_CLOCK_MARGIN_MS;

/// What stands behind an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behind {
    /// Changes in order, at most as many as were asked for; none when there are none yet.
    Events {
        /// The changes.
        events: Vec<FeedEvent>,
        /// The newest number there is.
        head: u64,
    },
    /// No change has this number yet.
    Ahead,
    /// Some of them are no longer kept: the reader must begin anew from a snapshot.
    Gone,
}

/// Reads at most `limit` changes with numbers above `offset`.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub async fn changes_behind<S: FeedStore>(
    store: &S,
    organization: &OrganizationId,
    offset: u64,
    limit: usize,
    now: Timestamp,
) -> Result<Behind, StoreError> {
    let tail = store.feed_tail(organization, TAIL_PAGES).await?;
    let head = tail.head(now);
    match place_offset(&tail, offset, now) {
        Offset::AtHead => return Ok(Behind::Events { events: Vec::new(), head }),
        Offset::Ahead => return Ok(Behind::Ahead),
        Offset::Gone => return Ok(Behind::Gone),
        Offset::Behind => {}
    }
    let mut pages = tail.pages;
    pages.reverse();
    let next = offset.saturating_add(1);
    if pages.first().is_none_or(|page| page.first_seq > next) {
        pages = store.feed_back(organization, next, 1).await?;
        let mut count: usize = 0;
        while count < limit {
            let Some(last) = pages.last() else { break };
            let more = store.feed_forward(organization, last.first_seq, PAGES).await?;
            if more.is_empty() {
                break;
            }
            count = more.iter().fold(count, |count, page| count.saturating_add(page.changes.len()));
            pages.extend(more);
        }
    }
    let events = events_behind(&pages, offset, limit, now);
    Ok(events.map_or(Behind::Gone, |events| Behind::Events { events, head }))
}

/// The newest number of a feed.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub async fn head_of_feed<S: FeedStore>(
    store: &S,
    organization: &OrganizationId,
    now: Timestamp,
) -> Result<u64, StoreError> {
    Ok(store.feed_tail(organization, 1).await?.head(now))
}

/// The offset from which a reader must follow who begins to read the levels now: minutes back, so that a level which
/// the listing does not show yet comes with its change.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub async fn snapshot_offset<S: FeedStore>(
    store: &S,
    organization: &OrganizationId,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let since = now.plus_millis(-SNAPSHOT_MARGIN_MS);
    let tail = store.feed_tail(organization, TAIL_PAGES).await?;
    let (Some(marker), Some(_)) = (tail.marker, tail.newest()) else {
        return Ok(tail.head(now));
    };
    let mut pages = tail.pages;
    let mut offset = None;
    loop {
        for page in pages.iter().filter(|page| page.first_seq >= marker.start) {
            if page.appended_at < since {
                return Ok(offset.unwrap_or_else(|| page.last_seq()));
            }
            offset = Some(page.first_seq.saturating_sub(1));
        }
        let Some(first_seq) = pages.last().map(|page| page.first_seq).filter(|seq| *seq > marker.start) else {
            return Ok(offset.unwrap_or_default());
        };
        pages = store.feed_back(organization, first_seq.saturating_sub(1), PAGES).await?;
    }
}
