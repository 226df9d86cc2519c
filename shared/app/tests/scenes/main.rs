//! Single scenes of the use cases that no model plays: a writer that comes in between, a key that is used anew, a name that
//! is taken. Each knows the ports and the store in memory, and nothing of seeds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod bulk;
mod callbacks;
mod counts;
mod creations;
mod ends;
mod journal;
mod keys;
mod lists;
mod stage;
mod triggers;
