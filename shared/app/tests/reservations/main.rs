//! A randomized model of reservations: the real use cases on a store that fails, with makers that are slow, die and come
//! back, several who end the same reservation at once, a stream that repeats itself and a sweeper.
//!
//! Each seed is one world. `MODEL_SEED=7 cargo test -p evenstock-app --test reservations` repeats seed 7 alone,
//! `MODEL_SEEDS=100000` runs that many. The last tests take one law out and expect the model to find the hole.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test reports by panicking"
)]

mod attempts;
mod audit;
mod store;
mod world;

use evenstock_app::testing::worlds::seeds;
use store::Law;
use world::World;

/// Worlds of one run.
const SEEDS: u64 = 600;

/// Worlds in which a broken law must show.
const SEEDS_TO_FIND_A_HOLE: u64 = 2000;

#[test]
fn every_unit_is_on_the_shelf_held_once_or_gone() {
    let mut ends = [0_u64; 4];
    for seed in seeds(SEEDS) {
        match World::new(seed, None).run() {
            Ok(world) => ends.iter_mut().zip(world).for_each(|(all, one)| *all += one),
            Err(hole) => panic!("MODEL_SEED={seed}: {hole}"),
        }
    }
    assert!(seeds(SEEDS).count() < 100 || ends.iter().all(|count| *count > 50), "every end is reached: {ends:?}");
}

fn model_finds_the_hole_without(law: Law) {
    let found = (0..SEEDS_TO_FIND_A_HOLE).any(|seed| World::new(seed, Some(law)).run().is_err());
    assert!(found, "no world of {SEEDS_TO_FIND_A_HOLE} noticed that {law:?} is gone");
}

#[test]
fn reserve_that_comes_after_its_undo_is_found_out() {
    model_finds_the_hole_without(Law::Void);
}

#[test]
fn two_ends_of_one_reservation_are_found_out() {
    model_finds_the_hole_without(Law::OneEnd);
}

#[test]
fn stream_that_completes_nothing_is_found_out() {
    model_finds_the_hole_without(Law::Stream);
}
