//! The ports: the copies in our store, and the central system itself.

use core::future::Future;

use evenstock_domain::{CentralCopy, Holding, LevelKey, LocationId, Sku};

use crate::StoreError;

/// What the central system is known to hold, one item a level.
pub trait CentralCopies: Send + Sync {
    /// Reads a copy and its `rev` as the last completed write left them. `None` when the level was never pushed.
    fn load_copy(&self, key: &LevelKey) -> impl Future<Output = Result<Option<(u64, CentralCopy)>, StoreError>> + Send;

    /// Writes a copy if its `rev` is still `expected` (`None`: if there is none), under the next one. `false` when
    /// somebody else was faster.
    fn save_copy(
        &self,
        key: &LevelKey,
        expected: Option<u64>,
        copy: &CentralCopy,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// One update of a location's stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CentralUpdate {
    /// The product.
    pub sku: Sku,
    /// Change of units.
    pub delta: i64,
    /// The version that the central system must have.
    pub expected_version: u64,
    /// Names the update for ever; the same for every repetition.
    pub idempotency_key: String,
}

/// What the central system says to one update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CentralAnswer {
    /// It is applied there, now or before, as this version.
    Applied {
        /// The version after it.
        version: u64,
    },
    /// It has another version than we know of.
    Stale,
    /// It cannot be applied to what is there, and says why.
    Unprocessable(String),
    /// It will never be applied as it stands, and says why.
    Rejected(String),
    /// It may be applied later.
    Later(String),
}

/// Why there is no answer. Whatever was asked may have been done: asking the same again is harmless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CentralError {
    /// It asks us to slow down.
    #[error("the central system limits our rate")]
    Limited {
        /// How long it wants us to wait, in seconds.
        retry_after_seconds: Option<u32>,
    },
    /// It is out of reach, too slow, fails, refuses our key, or answers something else.
    #[error("the central system fails: {reason}")]
    Failed {
        /// What was seen, without bodies.
        reason: String,
        /// How long it wants us to wait, in seconds.
        retry_after_seconds: Option<u32>,
    },
}

impl CentralError {
    /// Whether the breaker counts it: a rate limit says that the other side is well.
    pub const fn counts_as_failure(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    /// How long the other side wants us to wait, in seconds.
    pub const fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::Limited { retry_after_seconds } | Self::Failed { retry_after_seconds, .. } => *retry_after_seconds,
        }
    }
}

/// The central system's stock.
pub trait CentralStock: Send + Sync {
    /// Tells it updates of one location, at most [`super::LEVELS_MAX`] of them, each of another product: one answer each, in
    /// order.
    fn push(
        &self,
        location: &LocationId,
        updates: &[CentralUpdate],
    ) -> impl Future<Output = Result<Vec<CentralAnswer>, CentralError>> + Send;

    /// Asks what it holds. `None` when it does not know the level.
    fn holding(
        &self,
        location: &LocationId,
        sku: &Sku,
    ) -> impl Future<Output = Result<Option<Holding>, CentralError>> + Send;
}
