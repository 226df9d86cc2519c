//! A randomized model of the change feed: many publishers on a store that fails, whose batches come again and overlap,
//! who are slow, die between any two steps or go on long after they were given up, while pages expire and are deleted;
//! and readers who follow what they write.
//!
//! Each seed is one world. `MODEL_SEED=7 cargo test -p evenstock-app --test feed` repeats seed 7 alone,
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

mod audit;
mod offers;
mod reader;
mod repairs;
mod store;
mod world;

use evenstock_app::testing::worlds::seeds;
use store::Law;
use world::{Met, World};

/// Worlds of one run.
const SEEDS: u64 = 500;

/// Worlds in which a broken law must show.
const SEEDS_TO_FIND_A_HOLE: u64 = 2000;

#[test]
fn every_change_stands_in_the_feed_once_and_readers_end_with_the_table() {
    let mut all = Met::default();
    for seed in seeds(SEEDS) {
        match World::new(seed, None).run() {
            Ok(met) => all.add(&met),
            Err(hole) => panic!("MODEL_SEED={seed}: {hole}"),
        }
    }
    assert!(seeds(SEEDS).count() < 100 || all.is_rich(), "the worlds meet what they are for: {all:?}");
}

fn model_finds_the_hole_without(law: Law) {
    let found = (0..SEEDS_TO_FIND_A_HOLE).any(|seed| World::new(seed, Some(law)).run().is_err());
    assert!(found, "no world of {SEEDS_TO_FIND_A_HOLE} noticed that {law:?} is gone");
}

#[test]
fn publisher_that_does_not_look_for_its_changes_is_found_out() {
    model_finds_the_hole_without(Law::Look);
}

#[test]
fn publisher_that_does_not_look_again_after_a_lost_put_is_found_out() {
    model_finds_the_hole_without(Law::LookAgain);
}

#[test]
fn ceiling_that_is_not_raised_is_found_out() {
    model_finds_the_hole_without(Law::Ceiling);
}

#[test]
fn page_that_overwrites_another_is_found_out() {
    model_finds_the_hole_without(Law::FreeNumber);
}

#[test]
fn going_on_from_an_expired_page_without_the_marker_is_found_out() {
    model_finds_the_hole_without(Law::MarkFirst);
}

#[test]
fn reader_that_is_given_what_is_left_of_an_expired_feed_is_found_out() {
    model_finds_the_hole_without(Law::Gone);
}
