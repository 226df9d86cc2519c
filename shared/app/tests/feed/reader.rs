//! A reader: begins with a copy of the levels, follows the feed from there, and begins anew when it is told to.

use std::collections::BTreeMap;

use evenstock_app::{Behind, changes_behind, snapshot_offset};
use evenstock_domain::{Timestamp, events_behind};

use crate::store::{Law, Logged};
use crate::world::{Level, organization};
use evenstock_app::testing::worlds::finish;

/// What stands at a level: its version and the units available.
pub(crate) type Levels = BTreeMap<Level, (u64, i64)>;

#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) offset: u64,
    pub(crate) levels: Levels,
    /// Levels that it still has to copy.
    copying: Vec<Level>,
    /// How often it had to begin anew.
    pub(crate) begun: u64,
}

impl Reader {
    /// One step: copies a level, or reads some changes. `true` when nothing is left to read.
    pub(crate) fn step(
        &mut self,
        store: &Logged,
        without: Option<Law>,
        table: &Levels,
        limit: usize,
        now: Timestamp,
    ) -> Result<bool, String> {
        if let Some(level) = self.copying.pop() {
            self.take(level, table[&level]);
            return Ok(false);
        }
        let memory = &store.memory;
        let read = finish(Box::pin(changes_behind(memory, &organization(), self.offset, limit, now))).unwrap();
        let events = match read {
            Behind::Events { events, head } => {
                if events.is_empty() && head != self.offset {
                    return Err(format!("nothing behind {} although the head is {head}", self.offset));
                }
                events
            }
            Behind::Ahead => return Err(format!("{} is ahead of the feed", self.offset)),
            Behind::Gone if without == Some(Law::Gone) => {
                // Takes the first page there is for the one that was asked for.
                let next = self.offset + 1;
                let pages =
                    finish(Box::pin(evenstock_app::FeedStore::feed_forward(memory, &organization(), self.offset, 20)))
                        .unwrap();
                let first = pages.iter().find(|page| page.next_seq() > next && !page.is_expired(now));
                first.and_then(|page| events_behind(&pages, page.first_seq - 1, limit, now)).unwrap_or_default()
            }
            Behind::Gone => {
                self.begun += 1;
                self.levels.clear();
                self.offset = finish(Box::pin(snapshot_offset(memory, &organization(), now))).unwrap();
                self.copying = table.keys().copied().collect();
                return Ok(false);
            }
        };
        for event in &events {
            if event.seq != self.offset + 1 && without != Some(Law::Gone) {
                return Err(format!("{} was followed by {}", self.offset, event.seq));
            }
            self.offset = event.seq;
            let change = &event.change;
            self.take(Level::of(change), (change.version, change.quantity));
        }
        Ok(events.is_empty())
    }

    fn take(&mut self, level: Level, state: (u64, i64)) {
        let known = self.levels.entry(level).or_default();
        *known = (*known).max(state);
    }
}
