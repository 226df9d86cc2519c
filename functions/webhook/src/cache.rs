//! What this process knows of the stores that deliver: bounded, whatever ids strangers try.
//!
//! Must not know where a store is read. Knows no clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use evenstock_domain::{StoreId, Timestamp};

use crate::Connection;

/// Stores that are kept; of more, those that were read longest ago are forgotten.
const FOUND_MAX: usize = 1000;

/// How long an id that names no store is known as such, in milliseconds.
const NOBODY_MS: i64 = 10_000;

/// Such ids that are kept. While there are so many, no other id is read that was not a store before: this bounds the reads
/// that guessing costs, to a hundred a second.
const NOBODY_MAX: usize = 1000;

/// What is known of an id.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    /// The store.
    Found(Arc<Connection>),
    /// There is none, or none that signs.
    Nobody,
    /// Nothing, or nothing young enough: read it.
    Unknown,
    /// Nothing, and too many ids that name no store were tried to read another one now.
    Crowded,
}

/// The stores by their ids.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    found: BTreeMap<StoreId, (Timestamp, Arc<Connection>)>,
    nobody: BTreeMap<StoreId, Timestamp>,
}

/// A clock that was set back makes an entry old, not young for ever.
fn is_young(read_at: Timestamp, now: Timestamp, age_max_ms: i64) -> bool {
    (0..age_max_ms).contains(&now.millis_since(read_at))
}

impl Entries {
    /// Forgets what is too old to count, if there is no room.
    fn make_room(&mut self, now: Timestamp) {
        if self.nobody.len() >= NOBODY_MAX {
            self.nobody.retain(|_, read_at| is_young(*read_at, now, NOBODY_MS));
        }
    }
}

impl Cache {
    /// What is known of an id, if a store was read less than `age_max_ms` ago.
    pub(crate) fn look(&self, id: &StoreId, now: Timestamp, age_max_ms: i64) -> Known {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read_at, connection)) = entries.found.get(id) {
            let young = is_young(*read_at, now, age_max_ms);
            return if young { Known::Found(Arc::clone(connection)) } else { Known::Unknown };
        }
        if entries.nobody.get(id).is_some_and(|read_at| is_young(*read_at, now, NOBODY_MS)) {
            return Known::Nobody;
        }
        entries.make_room(now);
        if entries.nobody.len() >= NOBODY_MAX { Known::Crowded } else { Known::Unknown }
    }

    /// Keeps what was read at `now`.
    pub(crate) fn keep(&self, id: &StoreId, now: Timestamp, read: Option<&Arc<Connection>>) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connection) = read else {
            entries.found.remove(id);
            entries.make_room(now);
            // Reads that were under way together may be more than there is room for.
            if entries.nobody.len() < NOBODY_MAX {
                entries.nobody.insert(id.clone(), now);
            }
            return;
        };
        entries.nobody.remove(id);
        entries.found.insert(id.clone(), (now, Arc::clone(connection)));
        if entries.found.len() > FOUND_MAX {
            let oldest = entries.found.iter().min_by_key(|(_, (read_at, _))| *read_at).map(|(id, _)| id.clone());
            if let Some(oldest) = oldest {
                entries.found.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use evenstock_app::StockSignal;
    use evenstock_domain::{LocationId, OrganizationId};

    use super::*;

    fn id(name: &str) -> StoreId {
        StoreId::parse(name).unwrap()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::EPOCH.plus_millis(1_700_000_000_000 + millis)
    }

    fn connection(name: &str) -> Arc<Connection> {
        Arc::new(Connection {
            channel: "etsy".to_owned(),
            store: id(name),
            organization: OrganizationId::parse("org").unwrap(),
            default_location: LocationId::parse("main").unwrap(),
            stock_signal: StockSignal::Orders,
            secrets: Vec::new(),
        })
    }

    #[test]
    fn store_is_known_as_long_as_it_is_young() {
        let cache = Cache::default();
        assert!(matches!(cache.look(&id("a"), at(0), 100), Known::Unknown));
        cache.keep(&id("a"), at(0), Some(&connection("a")));
        assert!(matches!(cache.look(&id("a"), at(99), 100), Known::Found(_)));
        assert!(matches!(cache.look(&id("a"), at(100), 100), Known::Unknown));
        assert!(matches!(cache.look(&id("a"), at(-1), 100), Known::Unknown), "a clock that was set back");
    }

    #[test]
    fn guessed_ids_are_bounded_and_do_not_lock_out_a_store_that_was_known() {
        let cache = Cache::default();
        cache.keep(&id("known"), at(0), Some(&connection("known")));
        for n in 0..NOBODY_MAX {
            assert!(matches!(cache.look(&id(&format!("guess {n}")), at(1), 100), Known::Unknown));
            cache.keep(&id(&format!("guess {n}")), at(1), None);
        }
        assert!(matches!(cache.look(&id("guess 0"), at(2), 100), Known::Nobody));
        assert!(matches!(cache.look(&id("another"), at(2), 100), Known::Crowded));
        assert!(matches!(cache.look(&id("known"), at(2), 1), Known::Unknown), "it may be read again");
        cache.keep(&id("late"), at(2), None);
        assert_eq!(cache.0.lock().unwrap().nobody.len(), NOBODY_MAX);
        assert!(matches!(cache.look(&id("another"), at(1 + NOBODY_MS), 100), Known::Unknown));
        assert!(cache.0.lock().unwrap().nobody.is_empty());
    }

    #[test]
    fn of_too_many_stores_the_one_read_longest_ago_is_forgotten() {
        let cache = Cache::default();
        for n in 0..=FOUND_MAX {
            let name = format!("store {n}");
            cache.keep(&id(&name), at(i64::try_from(n).unwrap()), Some(&connection(&name)));
        }
        let now = at(i64::try_from(FOUND_MAX).unwrap());
        assert!(matches!(cache.look(&id("store 0"), now, i64::MAX), Known::Unknown));
        assert!(matches!(cache.look(&id("store 1"), now, i64::MAX), Known::Found(_)));
    }
}
