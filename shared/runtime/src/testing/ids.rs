//! New ids that a test can repeat: on one thread, from a seed.

use std::cell::Cell;

use evenstock_domain::Timestamp;

use crate::id_of;

thread_local! {
    /// The seed, and how many ids were made of it.
    static IDS: Cell<Option<(u64, u32)>> = const { Cell::new(None) };
}

/// From now on the new ids of this thread follow from the seed, in order; without one they are new again.
pub fn repeat_ids(seed: Option<u64>) {
    IDS.set(seed.map(|seed| (seed, 0)));
}

/// The next id of this thread, if somebody asked for ids that repeat.
pub(crate) fn repeated_id() -> Option<String> {
    let (seed, made) = IDS.get()?;
    IDS.set(Some((seed, made.wrapping_add(1))));
    Some(id_of(Timestamp::EPOCH.plus_millis(made.into()), &format!("{seed}/{made}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::new_id;

    #[test]
    fn ids_of_a_seed_repeat_and_rise() {
        let three = |seed| {
            repeat_ids(Some(seed));
            [new_id(), new_id(), new_id()]
        };
        let first = three(7);
        assert!(first.is_sorted_by(|one, next| one < next));
        assert_eq!(first, three(7));
        assert_ne!(first, three(8));
        repeat_ids(None);
        assert_ne!(new_id(), new_id());
    }
}
