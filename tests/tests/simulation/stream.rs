//! The table's stream: the changes of each item in order, in shards, each read from a checkpoint that its reader moves.

use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use evenstock_store::testing::{Followed, stream_image};

use crate::nature::Nature;

/// Shards of the stream.
pub(crate) const SHARDS: usize = 3;

#[derive(Debug, Default)]
struct Shard {
    records: Vec<EventRecord>,
    /// Records that need not be delivered any more.
    done: usize,
}

/// The stream.
#[derive(Debug, Default)]
pub(crate) struct Stream([Mutex<Shard>; SHARDS]);

/// A part of a shard that is on its way to a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) shard: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// An item stays in its shard.
fn shard_of(item: &str) -> usize {
    item.bytes().map(usize::from).sum::<usize>() % SHARDS
}

impl Stream {
    /// Takes a record of an item's change.
    pub(crate) fn emit(&self, nature: &Nature, item: &str, old: Option<Followed>, new: Followed) {
        let mut shard = self.0[shard_of(item)].lock().unwrap();
        let mut record = EventRecord::default();
        record.change.sequence_number = Some(shard.records.len().to_string());
        record.change.new_image = stream_image(&new).unwrap();
        record.change.old_image = old.map(|old| stream_image(&old).unwrap()).unwrap_or_default();
        record.change.keys = record.change.new_image.clone();
        // Whole seconds, as the real stream tells them.
        let at = UNIX_EPOCH + Duration::from_secs(nature.now().unsigned_abs() / 1000);
        record.change.approximate_creation_date_time = at.into();
        shard.records.push(record);
    }

    /// What is left of a shard.
    pub(crate) fn left(&self, shard: usize) -> usize {
        let shard = self.0[shard].lock().unwrap();
        shard.records.len() - shard.done
    }

    pub(crate) fn is_read(&self) -> bool {
        (0..SHARDS).all(|shard| self.left(shard) == 0)
    }

    /// The next records of a shard, at most `count`; begun `back` records too early, as after a lost checkpoint.
    pub(crate) fn next(&self, shard: usize, count: usize, back: usize) -> (Part, Event) {
        let records = self.0[shard].lock().unwrap();
        let from = records.done.saturating_sub(back);
        let to = (records.done + count).min(records.records.len());
        let mut event = Event::default();
        event.records = records.records[from..to].to_vec();
        (Part { shard, from, to }, event)
    }

    /// The reader followed a part: all of it, or up to the record with this number.
    pub(crate) fn followed(&self, part: Part, failed: Option<&str>) {
        let mut shard = self.0[part.shard].lock().unwrap();
        let end = failed.map_or(part.to, |failed| failed.parse().unwrap());
        shard.done = shard.done.max(end);
    }
}
