//! A randomized model of the laws of the stock level: the real use cases on a store that fails, with deliveries that
//! repeat, arrive late and out of order, and processes that die between any two calls.
//!
//! Each seed is one world. `MODEL_SEED=7 cargo test -p evenstock-app --test model` repeats seed 7 alone,
//! `MODEL_SEEDS=100000` runs that many. The last tests
//! take one law out at a time and expect the model to find the hole: a check that cannot fail checks nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test reports by panicking"
)]

mod audit;
mod broken;
mod world;

use broken::Law;
use evenstock_app::testing::worlds::seeds;
use world::World;

/// Worlds of one run. The small ones are cheap; each has two to eighty events.
const SEEDS: u64 = 400;

/// Worlds in which a broken law must show.
const SEEDS_TO_FIND_A_HOLE: u64 = 400;

#[test]
fn every_world_ends_as_the_laws_say() {
    for seed in seeds(SEEDS) {
        if let Err(hole) = World::new(seed, None).run() {
            panic!("MODEL_SEED={seed}: {hole}");
        }
    }
}

fn model_finds_the_hole_without(law: Law) {
    let holes = (0..SEEDS_TO_FIND_A_HOLE).filter(|seed| World::new(*seed, Some(law)).run().is_err()).count();
    assert!(holes > 0, "no world of {SEEDS_TO_FIND_A_HOLE} noticed that {law:?} is gone");
}

#[test]
fn time_of_delivery_instead_of_the_events_own_is_found_out() {
    model_finds_the_hole_without(Law::OwnTime);
}

#[test]
fn page_search_without_a_margin_is_found_out() {
    model_finds_the_hole_without(Law::SearchMargin);
}

#[test]
fn page_of_uncommitted_entries_is_found_out() {
    model_finds_the_hole_without(Law::CommittedPages);
}

#[test]
fn forgotten_watermark_is_found_out() {
    model_finds_the_hole_without(Law::Watermark);
}

#[test]
fn write_without_the_optimistic_lock_is_found_out() {
    model_finds_the_hole_without(Law::OptimisticLock);
}

#[test]
fn forgotten_spill_time_is_found_out() {
    model_finds_the_hole_without(Law::SpilledThrough);
}

#[test]
fn blind_write_that_does_not_look_behind_is_found_out() {
    model_finds_the_hole_without(Law::BlindSearch);
}
