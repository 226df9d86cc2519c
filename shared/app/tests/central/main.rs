//! A randomized model of pushes to a central system: both sides change stock at the same time, workers are slow, overlap
//! and die between any two steps, requests arrive long after their sender was gone, answers get lost, the store fails.
//!
//! Each seed is one world. `MODEL_SEED=7 cargo test -p evenstock-app --test central` repeats seed 7 alone,
//! `MODEL_SEEDS=100000` runs that many. The last test takes a law out and expects the model to find the hole.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod answers;
mod centre;
mod world;

use evenstock_app::testing::worlds::seeds;
use world::World;

/// Worlds of one run.
const SEEDS: u64 = 400;

#[test]
fn both_sides_end_with_the_same_stock_and_without_conflicts() {
    for seed in seeds(SEEDS) {
        let world = World::new(seed, true);
        world.live(false);
        if let Err(hole) = world.ends_equal(false) {
            panic!("MODEL_SEED={seed}: {hole}");
        }
    }
}

#[test]
fn what_the_central_system_keeps_to_itself_is_a_conflict_that_is_settled_once() {
    let mut conflicts = 0;
    for seed in seeds(SEEDS) {
        let world = World::new(seed, true);
        world.live(true);
        match world.ends_equal(true) {
            Ok(found) => conflicts += found,
            Err(hole) => panic!("MODEL_SEED={seed}: {hole}"),
        }
    }
    assert!(seeds(SEEDS).count() < 100 || conflicts > 100, "the worlds meet what they are for: {conflicts}");
}

#[test]
fn central_system_that_forgets_its_keys_and_versions_is_found_out() {
    let found = (0..SEEDS).any(|seed| {
        let world = World::new(seed, false);
        world.live(false);
        world.ends_equal(false).is_err()
    });
    assert!(found, "no world of {SEEDS} noticed that updates count twice");
}
