//! What the emulator lacks: a transaction in work keeps others off its items.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

/// The keys of the items that transactions are at work on.
#[derive(Debug, Default)]
pub(super) struct InWork(Mutex<BTreeSet<String>>);

/// Keys that a transaction holds until this is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    by: &'a InWork,
    keys: Vec<String>,
}

impl InWork {
    /// Holds the items for a transaction. `Err`: its answer, when another has one of them.
    pub(super) fn hold(&self, keys: Vec<String>) -> Result<Held<'_>, Value> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = |key: &String| if held.contains(key) { "TransactionConflict" } else { "None" };
        let reasons: Vec<_> = keys.iter().map(reason).collect();
        if reasons.contains(&"TransactionConflict") {
            let codes: Vec<_> = reasons.iter().map(|code| json!({ "Code": code })).collect();
            return Err(json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "Message": format!("Transaction cancelled, see the reasons [{}]", reasons.join(", ")),
                "CancellationReasons": codes,
            }));
        }
        held.extend(keys.iter().cloned());
        Ok(Held { by: self, keys })
    }

    /// The answer to a write of one item that a transaction has.
    pub(super) fn conflict(&self, key: &str) -> Option<Value> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.contains(key).then(|| {
            json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
                "message": "Transaction is ongoing for the item",
            })
        })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self.by.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|key| !self.keys.contains(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_of_a_running_transaction_is_nobody_elses() {
        let work = InWork::default();
        let keys = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let held = work.hold(keys(&["stock", "a"])).unwrap();
        let refused = work.hold(keys(&["b", "stock"])).unwrap_err();
        assert_eq!(refused["CancellationReasons"], json!([{ "Code": "None" }, { "Code": "TransactionConflict" }]));
        assert!(work.conflict("stock").is_some() && work.conflict("b").is_none());
        drop(held);
        assert!(work.conflict("stock").is_none());
        assert!(work.hold(keys(&["b", "stock"])).is_ok());
    }
}
