//! Counters that all instances of all functions add to. Each instance counts in memory and adds its sums from time to
//! time, so that counting costs nothing where it happens.

use core::future::Future;
use std::collections::BTreeMap;

use crate::StoreError;

/// Counts by name.
pub type Counts = BTreeMap<String, u64>;

/// The sums, one item a function.
pub trait CounterStore: Send + Sync {
    /// Adds to a function's sums. `token` names this addition: made again right away, it counts once. Others that come
    /// between hide it, so a sum may count an addition twice whose answer was lost.
    fn add_counts(
        &self,
        function: &str,
        token: &str,
        counts: &Counts,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads all sums, by function.
    fn all_counts(&self) -> impl Future<Output = Result<BTreeMap<String, Counts>, StoreError>> + Send;

    /// Sets all sums back to nothing.
    fn reset_counts(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
