//! Waiting for a feed to grow: one small read a tick, however many wait for the same feed in this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenstock_app::{Clock, FeedStore, StoreError, head_of_feed};
use evenstock_domain::OrganizationId;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Time between two looks: grows from the first to the last, so that a quiet feed costs little and a busy one is quick.
const TICK_FIRST: Duration = Duration::from_millis(250);
const TICK_LAST: Duration = Duration::from_secs(1);

/// The feeds that somebody waits for.
#[derive(Debug, Default)]
pub struct Watch(Mutex<BTreeMap<OrganizationId, Arc<Feed>>>);

/// What those who wait for one feed share.
#[derive(Debug)]
struct Feed {
    /// The newest number, as read last; `None` before the first look.
    head: watch::Sender<Option<u64>>,
    /// When it was read; held while it is read.
    read_at: tokio::sync::Mutex<Option<Instant>>,
}

impl Watch {
    /// Waits until the newest number is another than `offset`, or until `deadline`.
    ///
    /// # Errors
    /// [`StoreError`] when the feed cannot be read, now or later.
    pub(crate) async fn wait<S: FeedStore, C: Clock>(
        &self,
        store: &S,
        clock: &C,
        organization: &OrganizationId,
        offset: u64,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let feed = Waiting::of(self, organization);
        let mut head = feed.shared.head.subscribe();
        // Who asks has just looked.
        let mut tick = TICK_FIRST;
        loop {
            let next = (Instant::now() + tick).min(deadline);
            tokio::select! {
                () = sleep_until(next) => {}
                changed = head.wait_for(|head| head.is_some_and(|head| head > offset)) => {
                    // The sender lives as long as we hold the feed.
                    debug_assert!(changed.is_ok());
                    return Ok(());
                }
            }
            if Instant::now() >= deadline {
                return Ok(());
            }
            match feed.look(store, clock, organization).await {
                Ok(head) if head != offset => return Ok(()),
                // What passes may have passed at the next look.
                Err(error) if !error.is_passing() => return Err(error),
                Ok(_) | Err(_) => {}
            }
            tick = (tick * 3 / 2).min(TICK_LAST);
        }
    }
}

/// A place among those who wait; the last one to leave takes the feed away.
struct Waiting<'a> {
    watch: &'a Watch,
    organization: OrganizationId,
    shared: Arc<Feed>,
}

impl<'a> Waiting<'a> {
    fn of(watch: &'a Watch, organization: &OrganizationId) -> Self {
        let mut feeds = watch.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Feed { head: watch::Sender::new(None), read_at: tokio::sync::Mutex::new(None) });
        let shared = Arc::clone(feeds.entry(organization.clone()).or_insert_with(fresh));
        Self { watch, organization: organization.clone(), shared }
    }

    /// The newest number, read by us or by another not longer ago than the shortest tick.
    async fn look<S: FeedStore, C: Clock>(
        &self,
        store: &S,
        clock: &C,
        organization: &OrganizationId,
    ) -> Result<u64, StoreError> {
        let Feed { head, read_at } = &*self.shared;
        let mut read_at = read_at.lock().await;
        let known = *head.borrow();
        if let (Some(known), Some(at)) = (known, *read_at)
            && at.elapsed() < TICK_FIRST
        {
            return Ok(known);
        }
        let found = head_of_feed(store, organization, clock.now()).await?;
        *read_at = Some(Instant::now());
        head.send_replace(Some(found));
        Ok(found)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut feeds = self.watch.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Ours and the map's: nobody else holds it, and nobody can take it while we hold the map.
        if Arc::strong_count(&self.shared) <= 2 {
            feeds.remove(&self.organization);
        }
    }
}
