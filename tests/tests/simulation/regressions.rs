//! Seeds that found a hole once.

use crate::{report, run};

/// Each with what was wrong.
const SEEDS: [(u64, &str); 0] = [];

#[test]
fn holes_that_were_found_stay_closed() {
    for (seed, was) in SEEDS {
        if let Err(hole) = run(seed, None) {
            panic!("{was}: {}", report(seed, &hole));
        }
    }
}
