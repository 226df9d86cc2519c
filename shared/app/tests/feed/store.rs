//! The feed in memory, with a log of what was ever put, writes that arrive after their caller gave up, and laws that can
//! be taken out.

use std::sync::Mutex;

use evenstock_app::testing::MemoryStore;
use evenstock_app::{FeedStore, StoreError};
use evenstock_domain::{ChangePage, FeedMarker, FeedTail, OrganizationId, Sku, Timestamp};

/// A law of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Law {
    /// A publisher skips what stands in pages already.
    Look,
    /// After a lost put it looks again, instead of taking the next number.
    LookAgain,
    /// No number is given above the ceiling.
    Ceiling,
    /// A page is put only if its number is free.
    FreeNumber,
    /// The marker is written before the feed goes on from an expired page.
    MarkFirst,
    /// Who asks for what is no longer kept is told so. Taken out by the reader.
    Gone,
}

/// What a publisher without the ceiling believes it to be above what it is.
const LIE: u64 = 1_000_000_000;

#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) memory: MemoryStore,
    without: Option<Law>,
    /// Pages in the order in which they were put.
    pub(crate) pages: Mutex<Vec<ChangePage>>,
    /// Markers in the order in which they were written.
    pub(crate) markers: Mutex<Vec<FeedMarker>>,
    /// Puts that are under way although their caller gave up.
    pub(crate) late: Mutex<Vec<ChangePage>>,
    /// Whether the next put arrives late.
    pub(crate) delay_next: Mutex<bool>,
}

impl Logged {
    pub(crate) fn new(without: Option<Law>) -> Self {
        Self {
            memory: MemoryStore::default(),
            without,
            pages: Mutex::default(),
            markers: Mutex::default(),
            late: Mutex::default(),
            delay_next: Mutex::default(),
        }
    }

    async fn put(&self, organization: &OrganizationId, page: &ChangePage) -> Result<bool, StoreError> {
        let put = self.memory.put_change_page(organization, page).await?;
        if put || self.without == Some(Law::FreeNumber) {
            self.pages.lock().unwrap().push(page.clone());
            return Ok(true);
        }
        Ok(false)
    }

    /// Lets a late put arrive.
    pub(crate) async fn arrive(&self, organization: &OrganizationId, page: ChangePage) {
        self.put(organization, &page).await.unwrap();
    }

    fn seen(&self, mut page: ChangePage) -> ChangePage {
        if self.without == Some(Law::Look) {
            for change in &mut page.changes {
                change.sku = Sku::parse("another").unwrap();
            }
        }
        if self.without == Some(Law::MarkFirst) {
            page.expires = Timestamp::MAX;
        }
        page
    }
}

/// As a publisher sees it. Readers use the store behind.
impl FeedStore for Logged {
    async fn feed_tail(&self, organization: &OrganizationId, limit: u32) -> Result<FeedTail, StoreError> {
        let FeedTail { mut marker, pages } = self.memory.feed_tail(organization, limit).await?;
        if let (Some(Law::Ceiling), Some(marker)) = (self.without, &mut marker) {
            marker.ceiling += LIE;
        }
        Ok(FeedTail { marker, pages: pages.into_iter().map(|page| self.seen(page)).collect() })
    }

    async fn feed_back(
        &self,
        organization: &OrganizationId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<ChangePage>, StoreError> {
        let pages = self.memory.feed_back(organization, seq, limit).await?;
        Ok(pages.into_iter().map(|page| self.seen(page)).collect())
    }

    async fn feed_forward(
        &self,
        organization: &OrganizationId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<ChangePage>, StoreError> {
        self.memory.feed_forward(organization, seq, limit).await
    }

    async fn put_change_page(&self, organization: &OrganizationId, page: &ChangePage) -> Result<bool, StoreError> {
        if std::mem::take(&mut *self.delay_next.lock().unwrap()) {
            self.late.lock().unwrap().push(page.clone());
            return Err(StoreError::Unknown("the answer does not come".into()));
        }
        let mut page = page.clone();
        while !self.put(organization, &page).await? {
            if self.without != Some(Law::LookAgain) {
                return Ok(false);
            }
            page.first_seq = self.memory.feed_tail(organization, 1).await?.pages[0].next_seq();
        }
        Ok(true)
    }

    async fn mark_feed(
        &self,
        organization: &OrganizationId,
        expected: Option<&FeedMarker>,
        marker: &FeedMarker,
    ) -> Result<bool, StoreError> {
        let honest = |marker: &FeedMarker| match self.without {
            Some(Law::Ceiling) => {
                let less = |number: u64| if number >= LIE { number - LIE } else { number };
                FeedMarker { start: less(marker.start), ceiling: less(marker.ceiling), ..*marker }
            }
            _ => *marker,
        };
        let (expected, marker) = (expected.map(honest), honest(marker));
        let marked = self.memory.mark_feed(organization, expected.as_ref(), &marker).await?;
        if marked {
            self.markers.lock().unwrap().push(marker);
        }
        Ok(marked)
    }
}
