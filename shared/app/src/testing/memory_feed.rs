//! The change feed in memory, and its repair under faults.

use std::collections::BTreeMap;

use evenstock_domain::{ChangePage, FEED_PAGE_GRACE_MS, FeedMarker, FeedTail, LevelKey, OrganizationId, Timestamp};

use super::{FaultyStore, MemoryStore};
use crate::{FeedStore, LevelScan, RepairPass, RepairStore, ScanPage, StoreError};

/// One organization's feed.
#[derive(Debug, Default)]
pub(super) struct Feed {
    marker: Option<FeedMarker>,
    pages: BTreeMap<u64, ChangePage>,
}

impl MemoryStore {
    /// Deletes the pages that a table may delete at `now`.
    pub fn delete_old_change_pages(&self, now: Timestamp) {
        for feed in self.state().feeds.values_mut() {
            feed.pages.retain(|_, page| page.expires.plus_millis(FEED_PAGE_GRACE_MS) > now);
        }
    }

    fn select(&self, organization: &OrganizationId, from: u64, to: u64) -> Vec<ChangePage> {
        let state = self.state();
        let feed = state.feeds.get(organization);
        feed.into_iter().flat_map(|feed| feed.pages.range(from..=to)).map(|(_, page)| page.clone()).collect()
    }
}

fn newest_first(mut pages: Vec<ChangePage>, limit: u32) -> Vec<ChangePage> {
    pages.reverse();
    pages.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    pages
}

impl FeedStore for MemoryStore {
    async fn feed_tail(&self, organization: &OrganizationId, limit: u32) -> Result<FeedTail, StoreError> {
        let pages = newest_first(self.select(organization, 0, u64::MAX), limit);
        let marker = self.state().feeds.get(organization).and_then(|feed| feed.marker);
        Ok(FeedTail { marker, pages })
    }

    async fn feed_back(
        &self,
        organization: &OrganizationId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<ChangePage>, StoreError> {
        Ok(newest_first(self.select(organization, 0, seq), limit))
    }

    async fn feed_forward(
        &self,
        organization: &OrganizationId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<ChangePage>, StoreError> {
        let mut pages = self.select(organization, seq.saturating_add(1), u64::MAX);
        pages.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(pages)
    }

    async fn put_change_page(&self, organization: &OrganizationId, page: &ChangePage) -> Result<bool, StoreError> {
        let mut state = self.state();
        state.writes += 1;
        let pages = &mut state.feeds.entry(organization.clone()).or_default().pages;
        let free = !pages.contains_key(&page.first_seq);
        if free {
            pages.insert(page.first_seq, page.clone());
        }
        Ok(free)
    }

    async fn mark_feed(
        &self,
        organization: &OrganizationId,
        expected: Option<&FeedMarker>,
        marker: &FeedMarker,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        state.writes += 1;
        let feed = state.feeds.entry(organization.clone()).or_default();
        let unchanged = feed.marker.as_ref() == expected;
        if unchanged {
            feed.marker = Some(*marker);
        }
        Ok(unchanged)
    }
}

impl LevelScan for MemoryStore {
    async fn scan_levels(&self, after: Option<&LevelKey>, limit: u32) -> Result<ScanPage, StoreError> {
        let state = self.state();
        let mut rest = state.levels.iter().filter(|(key, _)| after.is_none_or(|after| *key > after));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let levels: Vec<_> =
            rest.by_ref().take(limit).map(|(key, stored)| (key.clone(), stored.level.clone())).collect();
        let next = rest.next().and_then(|_| levels.last()).map(|(key, _)| key.clone());
        Ok(ScanPage { levels, unreadable: Vec::new(), next })
    }
}

impl RepairStore for MemoryStore {
    async fn repair_pass(&self) -> Result<Option<RepairPass>, StoreError> {
        Ok(self.state().repair.clone())
    }

    async fn save_repair_pass(&self, expected: Option<&RepairPass>, pass: &RepairPass) -> Result<bool, StoreError> {
        let mut state = self.state();
        state.writes += 1;
        let unchanged = state.repair.as_ref() == expected;
        if unchanged {
            state.repair = Some(pass.clone());
        }
        Ok(unchanged)
    }
}

impl<S: LevelScan> LevelScan for FaultyStore<S> {
    async fn scan_levels(&self, after: Option<&LevelKey>, limit: u32) -> Result<ScanPage, StoreError> {
        self.call("scan_levels", self.inner.scan_levels(after, limit)).await
    }
}

impl<S: RepairStore> RepairStore for FaultyStore<S> {
    async fn repair_pass(&self) -> Result<Option<RepairPass>, StoreError> {
        self.call("repair_pass", self.inner.repair_pass()).await
    }

    async fn save_repair_pass(&self, expected: Option<&RepairPass>, pass: &RepairPass) -> Result<bool, StoreError> {
        self.call("save_repair_pass", self.inner.save_repair_pass(expected, pass)).await
    }
}
