//! How what the centre said about a level folds into one picture of it. Pure.
//!
//! Sayings come by three ways (snapshot, feed, answers to writes), late, twice and in any order between the ways. Each
//! carries the version that it is about, so the newest wins, whatever the order.

use evenstock_domain::Timestamp;

/// What the centre said about one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saying {
    /// The level's version that this is about.
    pub(crate) version: u64,
    /// Units that can be sold.
    pub(crate) available: i64,
    /// Units held for orders; the answer to a write does not tell.
    pub(crate) reserved: Option<i64>,
    /// When that version was made, by the centre's clock.
    pub(crate) at: Timestamp,
}

/// A level as far as this node knows it.
///
/// `reserved` has a version of its own: the answer to a write may be ahead of the feed by several versions, and if it
/// moved one version for both, the feed's word about `reserved` would come too late for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    /// The version of `available` and `updated_at`.
    pub(crate) version: u64,
    /// Units that can be sold; below 0 when oversold.
    pub(crate) available: i64,
    /// When `version` was made, by the centre's clock.
    pub(crate) updated_at: Timestamp,
    /// The version of `reserved`; 0 while nothing is known of it.
    pub(crate) reserved_version: u64,
    /// Units held for orders.
    pub(crate) reserved: i64,
}

impl Level {
    /// The level after a saying; `None` when it says nothing new.
    pub(crate) fn fold(known: Option<Self>, saying: &Saying) -> Option<Self> {
        let mut level = known.unwrap_or(Self {
            version: saying.version,
            available: saying.available,
            updated_at: saying.at,
            reserved_version: 0,
            reserved: 0,
        });
        if saying.version > level.version {
            level.version = saying.version;
            level.available = saying.available;
            level.updated_at = saying.at;
        }
        if let Some(reserved) = saying.reserved
            && saying.version > level.reserved_version
        {
            level.reserved_version = saying.version;
            level.reserved = reserved;
        }
        (Some(level) != known).then_some(level)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What version `version` of the one true level holds.
    fn truth(version: u64) -> (i64, i64) {
        let version = i64::try_from(version).unwrap();
        ((version * 37) % 11 - 2, (version * 53) % 7)
    }

    fn saying(version: u64, tells_reserved: bool) -> Saying {
        let (available, reserved) = truth(version);
        let at = Timestamp::EPOCH.plus_millis(i64::try_from(version).unwrap());
        Saying { version, available, reserved: tells_reserved.then_some(reserved), at }
    }

    proptest! {
        #[test]
        fn any_order_and_repetition_of_sayings_ends_in_the_newest_of_each(
            said in proptest::collection::vec((1_u64..40, any::<bool>()), 1..80),
        ) {
            let mut level = None;
            for (version, tells_reserved) in &said {
                level = Level::fold(level, &saying(*version, *tells_reserved)).or(level);
            }
            let level = level.unwrap();
            let newest = said.iter().map(|(version, _)| *version).max().unwrap();
            prop_assert_eq!((level.version, level.available), (newest, truth(newest).0));
            let newest_reserved = said.iter().filter(|(_, tells)| *tells).map(|(version, _)| *version).max();
            prop_assert_eq!(level.reserved_version, newest_reserved.unwrap_or(0));
            prop_assert_eq!(level.reserved, newest_reserved.map_or(0, |version| truth(version).1));
            for (version, tells_reserved) in &said {
                prop_assert_eq!(Level::fold(Some(level), &saying(*version, *tells_reserved)), None, "a repetition is no news");
            }
        }
    }

    #[test]
    fn feed_behind_a_writes_answer_still_tells_what_is_reserved() {
        let at = Timestamp::EPOCH;
        let known = Level::fold(None, &Saying { version: 7, available: 10, reserved: Some(0), at });
        let answered = Level::fold(known, &Saying { version: 9, available: 5, reserved: None, at });
        let caught_up = Level::fold(answered, &Saying { version: 8, available: 6, reserved: Some(4), at }).unwrap();
        assert_eq!((caught_up.version, caught_up.available, caught_up.reserved), (9, 5, 4));
    }
}
