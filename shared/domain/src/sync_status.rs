//! How a store's synchronization goes, told from the answers to its latest receipts.

use crate::ReceiptState;

/// Receipts that the status looks at, the ones answered last.
pub const SYNC_STATUS_RECEIPTS: usize = 20;

/// How the synchronization of a store goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncStatus {
    /// Nothing was answered yet.
    Pending,
    /// All of the latest receipts are orders.
    Success,
    /// Some are and some are not.
    Partial,
    /// None is, and the last one failed.
    Failed,
}

impl SyncStatus {
    /// The status by the latest answers, newest first. Receipts that no answer came for do not count.
    pub fn of(latest: &[ReceiptState]) -> Self {
        let mut answered =
            latest.iter().filter(|state| **state != ReceiptState::Pending).take(SYNC_STATUS_RECEIPTS).peekable();
        let Some(last) = answered.peek().copied() else {
            return Self::Pending;
        };
        let (mut orders, mut others) = (0, 0);
        for state in answered {
            if *state == ReceiptState::Success { orders += 1 } else { others += 1 }
        }
        match (orders, others) {
            (_, 0) => Self::Success,
            (0, _) if *last == ReceiptState::Failed => Self::Failed,
            _ => Self::Partial,
        }
    }

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}
