//! The seller's policy for a level: written like any other decision, under the level's `rev`, without a journal entry.

use evenstock_domain::{LevelKey, Policy, Quantity};

use crate::{Clock, Commit, StockStore, StoreError};

/// Tries before a change of policy gives up.
const ATTEMPTS_MAX: u32 = 12;

/// What of a policy is to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PolicyChange {
    /// Whether requests may go below 0.
    pub allow_backorder: Option<bool>,
    /// Where stock is low; `Some(None)` to hear no more of it.
    pub low_stock: Option<Option<Quantity>>,
    /// Units that requests may not sell into.
    pub safety_stock: Option<Quantity>,
}

impl PolicyChange {
    fn of(self, policy: Policy) -> Policy {
        Policy {
            allow_backorder: self.allow_backorder.unwrap_or(policy.allow_backorder),
            low_stock: self.low_stock.unwrap_or(policy.low_stock),
            safety_stock: self.safety_stock.unwrap_or(policy.safety_stock),
        }
    }
}

/// Changes a level's policy; the policy after it, or `None` when there is no such level. Changing to what it is already
/// writes nothing.
///
/// # Errors
/// [`StoreError`] when the store fails or stays outpaced.
pub async fn set_policy<S: StockStore, C: Clock>(
    store: &S,
    clock: &C,
    key: &LevelKey,
    change: PolicyChange,
) -> Result<Option<Policy>, StoreError> {
    for attempt in 1..=ATTEMPTS_MAX {
        match set_once(store, key, change).await {
            Ok(Some(settled)) => return Ok(settled),
            Ok(None) => {}
            // An unknown outcome is settled by looking again: the same change once more changes nothing.
            Err(error) if error.is_passing() && attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(error),
        }
        clock.back_off(attempt).await;
    }
    Err(StoreError::exhausted(ATTEMPTS_MAX))
}

/// `None`: outpaced, try again.
async fn set_once<S: StockStore>(
    store: &S,
    key: &LevelKey,
    change: PolicyChange,
) -> Result<Option<Option<Policy>>, StoreError> {
    let Some(mut stored) = store.load(key).await? else {
        return Ok(Some(None));
    };
    let policy = change.of(stored.level.policy);
    if policy == stored.level.policy {
        return Ok(Some(Some(policy)));
    }
    stored.level.policy = policy;
    match store.commit(key, Some(stored.rev), &stored.level).await? {
        Commit::Committed => Ok(Some(Some(policy))),
        Commit::Conflict(_) => Ok(None),
    }
}
