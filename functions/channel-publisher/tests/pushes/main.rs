//! Pushes to a central system that keeps levels as we do, and fails in every way that a real one does.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking; that is how it reports"
)]

mod central;
mod conflicts;
mod faults;
mod order;
mod world;
