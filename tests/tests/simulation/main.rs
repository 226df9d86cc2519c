//! The deterministic simulation: the real functions, from their events and HTTP requests down to their use cases, over a
//! simulated world. Queues duplicate, delay and reorder; the table's calls fail before and after they were done, or are
//! throttled; indexes lag; processes die between any two awaits; clocks differ; publishers race; the endpoint flaps.
//! After the storm everything must be as if it had never been.
//!
//! A seed is a world. `SIM_SEED=7 cargo test -p evenstock-tests --test simulation` repeats one, `SIM_SEEDS=100000` runs
//! that many. Laws are taken out one at a time too, and the simulation must notice: a check that cannot fail checks
//! nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test reports by panicking"
)]

mod actors;
mod check;
mod check_told;
mod clients;
mod endpoint;
mod functions;
mod laws;
mod met;
mod nature;
mod queue;
mod reference;
mod regressions;
mod rest;
mod store;
mod store_ports;
mod stream;
mod world;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use laws::Law;
use met::Met;
use world::World;

/// Worlds of one run, unless the environment says otherwise.
const SEEDS: u64 = 1000;

/// Worlds in which a missing law must show.
const SEEDS_TO_FIND_A_HOLE: u64 = 300;

fn seeds() -> Range<u64> {
    #[expect(clippy::disallowed_methods, reason = "the inputs of this test")]
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let first = number("SIM_FIRST").unwrap_or_default();
    match (number("SIM_SEED"), number("SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, seeds) => first..first + seeds.unwrap_or(SEEDS),
    }
}

/// The law that `SIM_WITHOUT` takes out of every world, by its name: to look at what the simulation makes of it.
fn without() -> Option<Law> {
    #[expect(clippy::disallowed_methods, reason = "an input of this test")]
    let name = std::env::var("SIM_WITHOUT").ok()?;
    Law::ALL.into_iter().find(|law| format!("{law:?}") == name)
}

/// Runs one world. Whatever goes wrong in it is its hole.
fn run(seed: u64, without: Option<Law>) -> Result<Met, String> {
    catch_unwind(AssertUnwindSafe(|| World::new(seed, without).run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("a panic: {}", text.unwrap_or_default()))
    })
}

fn report(seed: u64, hole: &str) -> String {
    format!(
        "SIM_SEED={seed}: {hole}\nRepeat it: SIM_SEED={seed} cargo test -p evenstock-tests --test simulation worlds"
    )
}

/// Runs worlds on all cores, and ends soon after the first that fails.
fn run_all(seeds: Range<u64>) -> Result<Met, String> {
    let (next, end) = (AtomicU64::new(seeds.start), seeds.end);
    let (met, hole) = (Mutex::new(Met::default()), Mutex::new(None::<(u64, String)>));
    let work = || {
        while hole.lock().unwrap().is_none() {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= end {
                return;
            }
            match run(seed, without()) {
                Ok(world) => met.lock().unwrap().add(world),
                Err(found) => {
                    let mut hole = hole.lock().unwrap();
                    if hole.as_ref().is_none_or(|(known, _)| seed < *known) {
                        *hole = Some((seed, found));
                    }
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let hole = hole.into_inner().unwrap();
    hole.map_or_else(|| Ok(met.into_inner().unwrap()), |(seed, hole)| Err(report(seed, &hole)))
}

#[test]
fn worlds_end_as_if_nothing_had_ever_failed() {
    let seeds = seeds();
    eprintln!("seeds {seeds:?}");
    let count = seeds.end - seeds.start;
    match run_all(seeds) {
        Ok(met) => {
            eprintln!("{met:?}");
            assert!(count < 200 || met.least() >= count / 10, "the worlds meet what they are for: {met:?}");
        }
        Err(hole) => panic!("{hole}"),
    }
}

#[test]
fn same_seed_is_the_same_world() {
    for seed in [1, 2, 3, 4, 5] {
        let fingerprint = || {
            let world = World::new(seed, None);
            let nature = std::sync::Arc::clone(&world.nature);
            world.run().unwrap_or_else(|hole| panic!("{}", report(seed, &hole)));
            nature.fingerprint()
        };
        let first = fingerprint();
        assert!(first.1 > 100, "a world of {} lines is none", first.1);
        assert_eq!(first, fingerprint(), "seed {seed}");
    }
}

#[test]
fn law_that_is_taken_out_is_missed() {
    let next = AtomicU64::new(0);
    let unnoticed = Mutex::new(Vec::new());
    let work = || {
        while let Some(law) = Law::ALL.get(next.fetch_add(1, Ordering::SeqCst) as usize) {
            let hole = |seed| run(seed, Some(*law)).err().map(|hole| (seed, hole));
            let found = (0..SEEDS_TO_FIND_A_HOLE).find_map(hole);
            let shown = found.as_ref().map(|(seed, hole)| (seed, hole.lines().next().unwrap_or_default()));
            eprintln!("without {law:?}: {shown:?}");
            if found.is_none() {
                unnoticed.lock().unwrap().push(*law);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let unnoticed = unnoticed.into_inner().unwrap();
    assert!(unnoticed.is_empty(), "no world of {SEEDS_TO_FIND_A_HOLE} misses {unnoticed:?}");
}
