//! What comes from outside, made worse: for whatever bytes arrive, nothing panics, nothing answers 500, memory stays
//! bounded, and an error says which kind it is.
//!
//! Each test runs a few hundred cases; `PROPTEST_CASES=100000` makes it a long run, `PROPTEST_RNG_SEED` another one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod api;
mod deliveries;
mod hostile;
mod messages;
mod sample;
mod stream;

use core::fmt::Debug;

use evenstock_runtime::Environment;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Runs a law on so many cases, or on as many as `PROPTEST_CASES` says.
pub(crate) fn hold<S: Strategy>(usual: u32, of: &S, law: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: Debug,
{
    let wanted = Environment::of_process().optional("PROPTEST_CASES").map(|cases| cases.parse().unwrap());
    let config = Config {
        cases: wanted.unwrap_or(usual),
        failure_persistence: None,
        max_shrink_iters: 300,
        max_global_rejects: u32::MAX,
        ..Config::default()
    };
    if let Err(error) = TestRunner::new(config).run(of, law) {
        panic!("{error}");
    }
}
