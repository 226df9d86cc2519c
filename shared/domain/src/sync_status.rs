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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use ReceiptState::{Failed, Pending, RateLimited, Success};

    #[rstest]
    #[case::nothing(&[], SyncStatus::Pending)]
    #[case::nothing_was_answered(&[Pending, Pending], SyncStatus::Pending)]
    #[case::all_are_orders(&[Pending, Success, Success], SyncStatus::Success)]
    #[case::some_are(&[Failed, Success], SyncStatus::Partial)]
    #[case::some_are_and_the_last_is(&[Success, Failed], SyncStatus::Partial)]
    #[case::none_is_and_the_last_failed(&[Pending, Failed, RateLimited], SyncStatus::Failed)]
    #[case::none_is_and_the_last_comes_back(&[RateLimited, Failed], SyncStatus::Partial)]
    #[case::two_of_each(&[Failed, Failed, Success, Success], SyncStatus::Partial)]
    fn status_follows_from_the_latest_answers(#[case] latest: &[ReceiptState], #[case] expected: SyncStatus) {
        assert_eq!(SyncStatus::of(latest), expected);
    }

    #[test]
    fn only_the_latest_count() {
        let mut latest = [Success; SYNC_STATUS_RECEIPTS + 1];
        latest[SYNC_STATUS_RECEIPTS] = Failed;
        assert_eq!(SyncStatus::of(&latest), SyncStatus::Success);
        assert_eq!(SyncStatus::of(&latest[1..]), SyncStatus::Partial);
    }

    #[test]
    fn each_has_a_name() {
        let all = [SyncStatus::Pending, SyncStatus::Success, SyncStatus::Partial, SyncStatus::Failed];
        assert_eq!(all.map(SyncStatus::as_str), ["pending", "success", "partial", "failed"]);
    }
}
