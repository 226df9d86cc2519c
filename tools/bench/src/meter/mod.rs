//! Counts what the functions ask of DynamoDB and SQS: every call goes through here on its way.
//!
//! Owns the counting. Must not know what an operation of the product is.

mod bill;
mod item;
mod proxy;
mod queues;
mod transactions;
mod units;

pub(crate) use bill::{Bill, Chain};
pub(crate) use proxy::Meter;
pub(crate) use units::Units;

use tokio::time::Instant;

/// What answers a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    DynamoDb,
    Sqs,
}

/// A call, as it went through.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) service: Service,
    /// Such as `UpdateItem`.
    pub(crate) operation: String,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    /// By our own model; of SQS, nothing.
    pub(crate) units: Units,
    /// What the emulator says that it consumed, where it says so.
    pub(crate) emulator: Option<Units>,
    /// Bytes of the bodies of question and answer.
    pub(crate) bytes: u64,
    /// Whether a condition was not met.
    pub(crate) refused: bool,
}
