//! The store on DynamoDB: the AWS SDK over loopback HTTP to an emulator in this process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test reports by panicking"
)]

mod bus;
mod contract;
mod cost;
mod faults;
mod sealing;
mod support;
mod traces;
