//! Copies in memory, and under faults.

use evenstock_domain::{CentralCopy, LevelKey};

use super::{FaultyStore, MemoryStore};
use crate::{CentralCopies, StoreError};

impl CentralCopies for MemoryStore {
    async fn load_copy(&self, key: &LevelKey) -> Result<Option<(u64, CentralCopy)>, StoreError> {
        Ok(self.state().copies.get(key).cloned())
    }

    async fn save_copy(&self, key: &LevelKey, expected: Option<u64>, copy: &CentralCopy) -> Result<bool, StoreError> {
        let mut state = self.state();
        state.writes += 1;
        if state.copies.get(key).map(|(rev, _)| *rev) != expected {
            return Ok(false);
        }
        state.copies.insert(key.clone(), (expected.unwrap_or_default() + 1, copy.clone()));
        Ok(true)
    }
}

impl<S: CentralCopies> CentralCopies for FaultyStore<S> {
    async fn load_copy(&self, key: &LevelKey) -> Result<Option<(u64, CentralCopy)>, StoreError> {
        self.call("load_copy", self.inner.load_copy(key)).await
    }

    async fn save_copy(&self, key: &LevelKey, expected: Option<u64>, copy: &CentralCopy) -> Result<bool, StoreError> {
        self.call("save_copy", self.inner.save_copy(key, expected, copy)).await
    }
}
