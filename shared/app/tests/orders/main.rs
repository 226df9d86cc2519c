//! Imports, cancellations and the worker of stores: faults, dead processes, and a randomized world.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test reports by panicking"
)]

mod answers;
mod cost;
mod model;
mod races;
mod rig;
mod worker;
