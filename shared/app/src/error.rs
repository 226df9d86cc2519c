//! Errors of the ports. Each tells whether trying again can help, and whether the thing may have happened after all.

use std::error::Error;

type Cause = Box<dyn Error + Send + Sync>;

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It was not done; it may succeed later (throttled, out of reach, outpaced by other writers).
    #[error("the store did not do it, a later try may succeed")]
    Unavailable(#[source] Cause),
    /// It may or may not have been done (timeout, connection lost). Settle it by repeating the same write, which
    /// recognizes itself.
    #[error("the store may or may not have done it")]
    Unknown(#[source] Cause),
    /// It was not done and never will be as things stand (access denied, table missing, invalid request).
    #[error("the store refuses it")]
    Refused(#[source] Cause),
    /// A stored item cannot be read. An operator must look at it; it is never taken for absent.
    #[error("stored item {key} cannot be read: {reason}")]
    Corrupt {
        /// The item's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl StoreError {
    /// A use case gave up after a bounded number of tries.
    pub fn exhausted(attempts: u32) -> Self {
        Self::Unavailable(format!("gave up after {attempts} tries").into())
    }

    /// The same error for another record that it concerns: its kind, and its causes as text.
    pub fn again(&self) -> Self {
        let cause = || with_causes(self).into();
        match self {
            Self::Unavailable(_) => Self::Unavailable(cause()),
            Self::Unknown(_) => Self::Unknown(cause()),
            Self::Refused(_) => Self::Refused(cause()),
            Self::Corrupt { key, reason } => Self::Corrupt { key: key.clone(), reason: reason.clone() },
        }
    }

    /// Whether repeating the same write is the right answer.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Unknown(_))
    }
}

/// Why a message could not be queued. Some of a list may have been: sending it again is harmless, because every
/// consumer is idempotent.
#[derive(Debug, thiserror::Error)]
#[error("the queue did not take the message")]
pub struct QueueError(#[source] pub Cause);

/// Why a marketplace did not answer a poll.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// It does not accept our credentials.
    #[error("the marketplace refuses our key")]
    Unauthorized,
    /// It asks us to slow down.
    #[error("the marketplace limits our rate")]
    RateLimited {
        /// How long it wants us to wait, in seconds.
        retry_after_seconds: Option<u32>,
    },
    /// It is out of reach, too slow, or fails.
    #[error("the marketplace is unavailable: {reason}")]
    Unavailable {
        /// What was seen, without bodies.
        reason: String,
        /// How long it wants us to wait, in seconds.
        retry_after_seconds: Option<u32>,
    },
    /// Its answer is not what the contract says.
    #[error("the marketplace's answer cannot be read: {reason}")]
    Malformed {
        /// What was wrong, without bodies.
        reason: String,
    },
}

impl FeedError {
    /// Whether the breaker counts it: a rate limit says that the other side is well.
    pub const fn counts_as_failure(&self) -> bool {
        !matches!(self, Self::RateLimited { .. })
    }

    /// How long the other side wants us to wait, in seconds.
    pub const fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::RateLimited { retry_after_seconds } | Self::Unavailable { retry_after_seconds, .. } => {
                *retry_after_seconds
            }
            Self::Unauthorized | Self::Malformed { .. } => None,
        }
    }
}

/// An error with everything that caused it, for the log. What an error says of itself leaves its causes out.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
