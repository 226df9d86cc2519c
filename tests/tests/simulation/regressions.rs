//! Seeds that found a hole once.

use crate::{report, run};

/// Each with what was wrong.
const SEEDS: [(u64, &str); 1] =
    [(19, "an order called off before its import, by a clock that led, took its units and gave them back later")];

#[test]
fn holes_that_were_found_stay_closed() {
    for (seed, was) in SEEDS {
        if let Err(hole) = run(seed, None) {
            panic!("{was}: {}", report(seed, &hole));
        }
    }
}
