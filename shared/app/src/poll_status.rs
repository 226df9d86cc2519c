//! Looking at a poll without running it.

use core::future::Future;

use evenstock_domain::{Source, Timestamp};

use crate::StoreError;

/// How far a poll has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PollStatus {
    /// Runs begun.
    pub runs: u64,
    /// Rows changed since then are read next; `None` before the first.
    pub cursor: Option<Timestamp>,
    /// Due from then on.
    pub due: Option<Timestamp>,
    /// The other side wants us to wait until then.
    pub not_before: Option<Timestamp>,
}

/// The state of polls, to be shown.
pub trait PollStatusStore: Send + Sync {
    /// Reads a poll; all empty when it never ran.
    fn poll_status(&self, source: &Source) -> impl Future<Output = Result<PollStatus, StoreError>> + Send;
}
