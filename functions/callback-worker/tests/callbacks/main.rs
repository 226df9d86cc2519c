//! The worker from announcements to receivers: in memory, with a clock of its own, over real HTTP where that matters.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test reports by panicking"
)]

mod cost;
mod crashes;
mod faults;
mod many;
mod replay;
mod unfinished;
mod unstored;
mod world;
