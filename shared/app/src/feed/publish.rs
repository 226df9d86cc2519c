//! Appending changes to the feed, each once, whoever else publishes at the same time.

use std::collections::{BTreeMap, BTreeSet};

use evenstock_domain::{
    Change, ChangePage, FEED_CLOCK_MARGIN_MS, FeedLimits, FeedTail, FeedWrite, LocationId, OrganizationId, Sku,
    Timestamp, next_write,
};

use super::recent::PAGES_EACH;
use super::{FeedStore, RecentPages};
use crate::{Clock, StoreError};

/// Pages that the first look reads: normally nothing new, or the page of another publisher.
const LOOK_PAGES: u32 = 2;

/// Pages of each further query, under the megabyte that one query answers.
const BACK_PAGES: u32 = 60;

/// Looks at the tail without getting on. Each means that another publisher did, or that the store fails.
const TRIES_MAX: u32 = 64;

/// How long one call keeps trying, in milliseconds.
const PATIENCE_MS: i64 = 20_000;

/// A change that may be missing from the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The change.
    pub change: Change,
    /// When the stream's record that tells of it was created: no page from long before that holds it.
    pub recorded_at: Timestamp,
}

/// What publishing needs.
#[derive(Debug)]
pub struct FeedDeps<'a, S, C> {
    /// The feed.
    pub store: &'a S,
    /// Time.
    pub clock: &'a C,
    /// Sizes and times.
    pub limits: &'a FeedLimits,
    /// What this process knows of the feed.
    pub recent: &'a RecentPages,
}

impl<S, C> Clone for FeedDeps<'_, S, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, C> Copy for FeedDeps<'_, S, C> {}

type Identity = (Sku, LocationId, u64);

fn identity(change: &Change) -> Identity {
    (change.sku.clone(), change.location.clone(), change.version)
}

/// Puts the candidates that stand in no page yet into pages. The number of each, also of those that stood there before,
/// in the order given.
///
/// # Errors
/// [`StoreError`] when the store fails. Some may have been put; publishing them again finds them.
pub async fn publish<S: FeedStore, C: Clock>(
    deps: FeedDeps<'_, S, C>,
    organization: &OrganizationId,
    candidates: &[Candidate],
) -> Result<Vec<u64>, StoreError> {
    let mut publisher = Publisher { deps, organization, candidates, numbers: BTreeMap::new(), tail: None };
    let deadline = deps.clock.now().plus_millis(PATIENCE_MS);
    let mut tries = 0;
    while let Some(missing) = publisher.missing() {
        let error = match publisher.step(&missing).await {
            Ok(true) => {
                tries = 0;
                continue;
            }
            Ok(false) => None,
            Err(error) if error.is_passing() => Some(error),
            Err(error) => return Err(error),
        };
        // Whatever was tried may be there or not, and others may have gone on: only the table knows.
        publisher.tail = None;
        tries += 1;
        if tries >= TRIES_MAX || deps.clock.now() >= deadline {
            return Err(error.unwrap_or_else(|| StoreError::exhausted(tries)));
        }
        deps.clock.back_off(tries).await;
    }
    let numbers = candidates.iter().map(|candidate| publisher.numbers.get(&identity(&candidate.change)).copied());
    // Nothing is missing, so none is left out.
    Ok(numbers.flatten().collect())
}

struct Publisher<'a, S, C> {
    deps: FeedDeps<'a, S, C>,
    organization: &'a OrganizationId,
    candidates: &'a [Candidate],
    numbers: BTreeMap<Identity, u64>,
    /// The feed's end, as far as it is known.
    tail: Option<FeedTail>,
}

impl<S: FeedStore, C: Clock> Publisher<'_, S, C> {
    /// What stands in no page that was seen, as much as may fit one page; `None` when there is nothing.
    fn missing(&self) -> Option<Vec<Change>> {
        let mut seen = BTreeSet::new();
        let all = self.candidates.iter().map(|candidate| &candidate.change);
        let missing = all.filter(|change| {
            let identity = identity(change);
            !self.numbers.contains_key(&identity) && seen.insert(identity)
        });
        let missing: Vec<_> = missing.take(self.deps.limits.page_changes).cloned().collect();
        (!missing.is_empty()).then_some(missing)
    }

    /// Looks, or makes one write. `false` when the write was refused.
    async fn step(&mut self, missing: &[Change]) -> Result<bool, StoreError> {
        let Some(tail) = &mut self.tail else {
            self.tail = Some(self.look().await?);
            return Ok(true);
        };
        let FeedDeps { store, clock, limits, recent } = self.deps;
        match next_write(limits, tail, missing, clock.now()) {
            FeedWrite::Mark(marker) => {
                let marked = store.mark_feed(self.organization, tail.marker.as_ref(), &marker).await?;
                tail.marker = Some(marker);
                Ok(marked)
            }
            FeedWrite::Put(page) => {
                if !store.put_change_page(self.organization, &page).await? {
                    return Ok(false);
                }
                recent.keep(self.organization, &page);
                self.numbers.extend(page.numbered().map(|(seq, change)| (identity(change), seq)));
                tail.pages = vec![page];
                Ok(true)
            }
        }
    }

    /// Reads the feed from its end back to where no candidate can stand, and takes the numbers of those that it meets.
    async fn look(&mut self) -> Result<FeedTail, StoreError> {
        let FeedDeps { store, recent, .. } = self.deps;
        let recorded = self.candidates.iter().map(|candidate| candidate.recorded_at).min().unwrap_or_default();
        let since = recorded.plus_millis(-FEED_CLOCK_MARGIN_MS);
        let wanted: BTreeSet<_> = self.candidates.iter().map(|candidate| identity(&candidate.change)).collect();
        let mut tail = store.feed_tail(self.organization, LOOK_PAGES).await?;
        let mut pages = tail.pages.clone();
        let mut asked = LOOK_PAGES;
        let mut kept = 0;
        loop {
            let all = pages.len() < usize::try_from(asked).unwrap_or(usize::MAX);
            let mut oldest = None;
            for page in pages {
                self.take_numbers(&wanted, &page);
                oldest = Some((page.first_seq, page.appended_at));
                if kept < PAGES_EACH {
                    recent.keep(self.organization, &page);
                    kept += 1;
                }
            }
            // Pages never get younger towards the front.
            let Some((mut first_seq, mut appended_at)) = oldest.filter(|(_, appended_at)| *appended_at >= since) else {
                break;
            };
            while let Some(page) = recent.before(self.organization, first_seq).filter(|_| appended_at >= since) {
                self.take_numbers(&wanted, &page);
                (first_seq, appended_at) = (page.first_seq, page.appended_at);
            }
            if all || appended_at < since {
                recent.forget_before(self.organization, first_seq);
                break;
            }
            asked = BACK_PAGES;
            pages = store.feed_back(self.organization, first_seq.saturating_sub(1), asked).await?;
        }
        tail.pages.truncate(1);
        Ok(tail)
    }

    fn take_numbers(&mut self, wanted: &BTreeSet<Identity>, page: &ChangePage) {
        for (seq, change) in page.numbered() {
            let identity = identity(change);
            if wanted.contains(&identity) {
                self.numbers.insert(identity, seq);
            }
        }
    }
}
