//! The laws of the stock level, by example and by property, on a ledger that spills as the use cases do.

mod blind;
mod changes;
mod contradictions;
mod entries;
mod examples;
mod feed;
mod forced;
mod past;
mod properties;
mod receipts;
mod reservations;
mod rules;
mod store_sync;

use crate::*;

/// A level with its pages: what one item and its journal hold, without the concurrency.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    pub(super) level: StockLevel,
    pub(super) pages: Vec<Page>,
    pub(super) now: Timestamp,
}

/// The clock of most tests, an hour after the times that [`at`] gives.
pub(super) const NOW: i64 = 1_700_000_000_000;

/// A source's time: `seconds` after an hour before now.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW - 3_600_000 + seconds * 1000).unwrap()
}

pub(super) fn source(name: &str) -> Source {
    Source::parse(name).unwrap()
}

pub(super) fn event(name: &str, time: Timestamp, from: &str, body: EventBody) -> StockEvent {
    let id = EventIdKey::new(*b"0123456789abcdef").event_id(name);
    StockEvent { id, time, source: source(from), actor: ActorCode(0), body }
}

pub(super) fn delta(name: &str, seconds: i64, units: i64) -> StockEvent {
    event(name, at(seconds), "orders", EventBody::Delta(Delta::new(units).unwrap()))
}

pub(super) fn count(name: &str, seconds: i64, units: i64, means: Means) -> StockEvent {
    let quantity = Quantity::new(units).unwrap();
    event(name, at(seconds), "authority", EventBody::Count { quantity, means, sequence: 0 })
}

pub(super) fn merged(name: &str, seconds: i64, from: &str, units: i64) -> StockEvent {
    event(name, at(seconds), from, EventBody::Merged { quantity: Quantity::new(units).unwrap(), sequence: 0 })
}

pub(super) fn request(name: &str, seconds: i64, available: i64) -> StockEvent {
    event(name, at(seconds), "api", EventBody::Request { available, reserved: 0, expected_version: None })
}

pub(super) fn reserve(name: &str, seconds: i64, units: i64) -> StockEvent {
    event(name, at(seconds), "api", EventBody::Request { available: -units, reserved: units, expected_version: None })
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self { level: StockLevel::new(), pages: Vec::new(), now: Timestamp::from_millis(NOW).unwrap() }
    }

    /// Applies a batch as the use case does: spill what is committed, look as far back as needed, decide, commit.
    pub(super) fn apply(&mut self, events: &[StockEvent]) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while outcomes.len() < events.len() {
            let rest = &events[outcomes.len()..];
            let mut level = self.level.clone();
            if let Some(page) = level.full_page() {
                assert!(page.is_whole());
                self.pages.push(page);
                level.drop_page();
            }
            let past = Past::needed(&level, rest).map_or(Past::none(), |start| {
                let past = self.past(start);
                assert!(past.adjoins(&level));
                past
            });
            let decision = decide(&level, rest, &past, self.now);
            assert!(!decision.outcomes.is_empty(), "a decision makes progress");
            outcomes.extend(decision.outcomes);
            self.level = decision.level;
        }
        outcomes
    }

    pub(super) fn one(&mut self, event: StockEvent) -> Outcome {
        self.apply(&[event])[0]
    }

    /// The pages that a store gives for a search: those begun since, and the one before.
    fn past(&self, start: Timestamp) -> Past {
        let before = self.pages.iter().rposition(|page| page.committed_at() < start).unwrap_or(0);
        Past::reaching(start, self.pages[before.min(self.pages.len())..].to_vec())
    }

    pub(super) fn whole_journal(&self) -> Vec<Placed> {
        let all = Past::reaching(Timestamp::EPOCH, self.pages.clone());
        let mut journal: Vec<_> = self.level.journal(&all).collect();
        journal.reverse();
        journal
    }
}
