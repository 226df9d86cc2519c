//! Keeps the copy level with the centre: a snapshot first, then the change feed, and a snapshot again when the feed
//! does not reach back far enough.

use core::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{Instrument, Span, error, info, info_span, warn};

use crate::cadence::{Cadence, Ended, jittered};
use crate::centre::Failure;
use crate::cli::with_causes;
use crate::database::DatabaseError;
use crate::node::{Node, Stop, now, permille, stopped};
use crate::wire::{About, Event};

/// Answers that our offset is ahead of the feed, in a row, before that is believed: a read of the feed's head may be a
/// moment old.
const AHEAD_BELIEVED: u32 = 3;

/// The wait after the disk failed.
const AFTER_DISK: Duration = Duration::from_secs(5);

const HELD: &str = "the centre's feed ends before the point that this node had reached: it was restored or reset, or the \
                    key belongs to another organization. The queued writes may not belong there; start with --rebuild to \
                    send them";

/// Follows until the process ends.
pub(crate) async fn follow(node: &Node, renew: bool, mut stop: Stop) {
    let mut follower = Follower { node, cadence: Cadence::default(), snapshot: renew.then_some(Begun::No), ahead: 0 };
    loop {
        let wait = tokio::select! {
            wait = follower.step() => wait,
            () = stopped(&mut stop) => return,
        };
        tokio::select! {
            () = sleep(jittered(wait, permille())) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

/// How far a snapshot is.
enum Begun {
    No,
    Yes { last_offset: u64, cursor: String },
}

struct Follower<'a> {
    node: &'a Node,
    cadence: Cadence,
    /// A snapshot to be made, though there is a copy.
    snapshot: Option<Begun>,
    /// Answers in a row that we are ahead of the feed.
    ahead: u32,
}

/// Why a step failed.
enum StepError {
    Centre(Failure),
    Disk(DatabaseError),
}

impl From<Failure> for StepError {
    fn from(failure: Failure) -> Self {
        Self::Centre(failure)
    }
}

impl From<DatabaseError> for StepError {
    fn from(error: DatabaseError) -> Self {
        Self::Disk(error)
    }
}

impl Follower<'_> {
    /// Asks the centre once; the wait before the next time.
    async fn step(&mut self) -> Duration {
        let began = Instant::now();
        match self.ask(began).await {
            Ok(ended) => self.cadence.after(ended),
            Err(StepError::Disk(error)) => {
                error!(cause = with_causes(&error), "the copy of the stock cannot be kept");
                self.node.status.lost(with_causes(&error));
                AFTER_DISK
            }
            Err(StepError::Centre(failure)) => {
                if self.node.status.lost(failure.to_string()) {
                    warn!(%failure, "no contact with the centre; reads are stale");
                }
                let key_refused = matches!(failure, Failure::KeyRefused(_));
                self.cadence.after(Ended::Failed { retry_after: failure.retry_after(), key_refused })
            }
        }
    }

    async fn ask(&mut self, began: Instant) -> Result<Ended, StepError> {
        let progress = self.node.cache.progress().await?;
        match (&self.snapshot, progress.offset) {
            (None, Some(offset)) => self.changes(began, offset).await,
            (None, None) => {
                self.snapshot = Some(Begun::No);
                self.snapshot_page().await
            }
            (Some(_), _) => self.snapshot_page().await,
        }
    }

    /// One page of the snapshot. A page that fails is asked for again.
    async fn snapshot_page(&mut self) -> Result<Ended, StepError> {
        let cursor = match &self.snapshot {
            Some(Begun::Yes { cursor, .. }) => Some(cursor.clone()),
            _ => None,
        };
        if cursor.is_none() {
            self.node.cache.begin_snapshot().await?;
        }
        let page = match self.node.centre.snapshot(cursor.as_deref()).await {
            Err(Failure::Refused(refusal)) => {
                // The cursor is no longer good; the next step begins anew.
                self.snapshot = Some(Begun::No);
                return Err(Failure::Refused(refusal).into());
            }
            answered => answered?,
        };
        // The earliest offset of all pages: repeats are harmless, gaps are not.
        let last_offset = match &self.snapshot {
            Some(Begun::Yes { last_offset, .. }) => page.last_offset.min(*last_offset),
            _ => page.last_offset,
        };
        let next = page.next_cursor.clone().unwrap_or_default();
        let span = info_span!("PersistSnapshot", offset = last_offset, is_last = next.is_empty());
        self.node.cache.add_to_snapshot(page.into_sayings()).instrument(span.clone()).await?;
        if next.is_empty() {
            self.node.cache.finish_snapshot(last_offset, self.node.owner.clone()).instrument(span).await?;
            self.snapshot = None;
            info!(offset = last_offset, "the snapshot is complete");
        } else {
            self.snapshot = Some(Begun::Yes { last_offset, cursor: next });
        }
        Ok(Ended::Changes { more: true })
    }

    async fn changes(&mut self, began: Instant, offset: u64) -> Result<Ended, StepError> {
        if self.node.status.view().stale {
            // A long poll would leave it open for long whether the centre is there.
            self.cadence.look_at_once();
        }
        let asked = tokio::select! {
            asked = self.node.centre.changes(offset, self.cadence.hold()) => asked,
            () = self.node.look.notified() => {
                self.cadence.look_at_once();
                self.node.centre.changes(offset, Duration::ZERO).await
            }
        };
        let page = match asked {
            Err(Failure::Refused(refusal)) if refusal.status == 410 => {
                return Ok(self.begin_again("the feed no longer reaches back to this node's offset"));
            }
            Err(Failure::Refused(refusal)) if refusal.is_about_an_offset_ahead() => {
                self.ahead += 1;
                if self.ahead < AHEAD_BELIEVED {
                    return Err(Failure::Refused(refusal).into());
                }
                self.ahead = 0;
                if self.node.intents.hold(HELD.to_owned()).await? {
                    error!(offset, "{HELD}");
                }
                return Ok(self.begin_again("the centre has another history than this node"));
            }
            answered => answered?,
        };
        self.ahead = 0;
        let Some((sayings, next)) = in_order(offset, page.events) else {
            return Ok(self.begin_again("the feed has a gap"));
        };
        let (empty, more) = (sayings.is_empty(), page.has_more);
        let level_at = (!more).then(now);
        // Most answers of the feed say that there is nothing new.
        let span = if empty { Span::none() } else { info_span!("ReplayEvent", offset = next, events = sayings.len()) };
        self.node.cache.apply_changes(sayings, next, level_at).instrument(span).await?;
        if self.node.status.followed(!more) {
            info!(offset = next, "in contact with the centre");
            self.node.send.notify_one();
        }
        Ok(if empty && !more { Ended::Nothing(began.elapsed()) } else { Ended::Changes { more } })
    }

    /// Makes a snapshot beside the copy in use.
    fn begin_again(&mut self, why: &str) -> Ended {
        warn!("{why}; a new snapshot is made beside the copy in use");
        self.node.status.lost(why.to_owned());
        self.snapshot = Some(Begun::No);
        // With a pause, so that a centre that keeps saying so is not asked all the time.
        Ended::Failed { retry_after: None, key_refused: false }
    }
}

/// What the events say and the last offset, when they go on from `offset` without a gap. Repeats are left out.
fn in_order(offset: u64, events: Vec<Event>) -> Option<(Vec<About>, u64)> {
    let mut last = offset;
    let mut sayings = Vec::with_capacity(events.len());
    for event in events {
        if event.seq <= last {
            continue;
        }
        if event.seq != last + 1 {
            return None;
        }
        last = event.seq;
        sayings.push(event.into_saying());
    }
    Some((sayings, last))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn events(seqs: &[u64]) -> Vec<Event> {
        let event = |seq: &u64| {
            json!({ "seq": seq, "type": "StockSet", "productId": "p", "storeId": "s", "delta": 1, "newQuantity": seq,
                    "newReserved": 0, "newVersion": seq, "source": "api", "ts": "2026-01-01T00:00:00.000Z" })
        };
        seqs.iter().map(|seq| serde_json::from_value(event(seq)).unwrap()).collect()
    }

    #[test]
    fn repeats_are_left_out_and_a_gap_is_found_out() {
        let taken = |offset, seqs: &[u64]| {
            in_order(offset, events(seqs))
                .map(|(sayings, last)| (sayings.iter().map(|about| about.saying.version).collect::<Vec<_>>(), last))
        };
        assert_eq!(taken(5, &[]), Some((vec![], 5)));
        assert_eq!(taken(5, &[6, 7]), Some((vec![6, 7], 7)));
        assert_eq!(taken(5, &[4, 5, 6, 6, 7]), Some((vec![6, 7], 7)));
        assert_eq!(taken(5, &[7]), None);
        assert_eq!(taken(5, &[6, 8]), None);
    }
}
