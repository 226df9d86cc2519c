//! The audit log: what administrators did. Entries are only ever added.
//!
//! An entry is written before what it tells of is done. A crash in between leaves an entry of something that did not
//! happen, which the repetition of the request mends; never a deed without an entry. When the entry cannot be written
//! nothing is done either, and the caller may ask again: somebody who acts unseen is worse than one who has to wait.

use core::future::Future;

use evenstock_domain::{OrganizationId, Timestamp};

use crate::StoreError;

/// What an administrator did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AdminAction {
    /// Made an API key.
    KeyCreated,
    /// Withdrew an API key.
    KeyRevoked,
    /// Replaced the secret that signs callbacks.
    SecretRotated,
    /// Registered a marketplace store, or changed it, with its secrets.
    StoreRegistered,
    /// Set up a warehouse, or changed it, with its key.
    WarehouseSet,
    /// Settled a conflict by hand.
    ConflictResolved,
    /// Switched an organization's periodic sync on.
    SyncSwitchedOn,
    /// Switched it off.
    SyncSwitchedOff,
    /// Asked for a sync: of everything, of the polled marketplace, or of a warehouse.
    SyncTriggered,
    /// Set the counters back.
    MetricsReset,
}

/// All of them. An entry of another is one that newer code wrote, and is corrupt to this.
const ALL: [AdminAction; 10] = [
    AdminAction::KeyCreated,
    AdminAction::KeyRevoked,
    AdminAction::SecretRotated,
    AdminAction::StoreRegistered,
    AdminAction::WarehouseSet,
    AdminAction::ConflictResolved,
    AdminAction::SyncSwitchedOn,
    AdminAction::SyncSwitchedOff,
    AdminAction::SyncTriggered,
    AdminAction::MetricsReset,
];

impl AdminAction {
    /// Its name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeyCreated => "key.created",
            Self::KeyRevoked => "key.revoked",
            Self::SecretRotated => "secret.rotated",
            Self::StoreRegistered => "store.registered",
            Self::WarehouseSet => "warehouse.set",
            Self::ConflictResolved => "conflict.resolved",
            Self::SyncSwitchedOn => "sync.switched_on",
            Self::SyncSwitchedOff => "sync.switched_off",
            Self::SyncTriggered => "sync.triggered",
            Self::MetricsReset => "metrics.reset",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        ALL.into_iter().find(|action| action.as_str() == text)
    }
}

/// One deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The organization that it is about.
    pub organization: OrganizationId,
    /// Names the operation: the same for every repetition.
    pub id: String,
    /// When it was first asked for.
    pub at: Timestamp,
    /// What was done.
    pub action: AdminAction,
    /// Id of the key that asked.
    pub actor: String,
    /// Id of what it was done to.
    pub target: String,
    /// For people. Never a secret.
    pub about: String,
}

/// Where a listing of the log goes on: behind this entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPosition {
    /// Its time.
    pub at: Timestamp,
    /// Its id.
    pub id: String,
}

/// A page of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditPage {
    /// Entries, newest first.
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<AuditPosition>,
}

/// The log.
pub trait AuditLog: Send + Sync {
    /// Adds an entry; does nothing when one of its time and id is there.
    fn append_audit(&self, entry: &AuditEntry) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads an organization's entries, at most `limit` behind `after`, newest first.
    fn audit(
        &self,
        organization: &OrganizationId,
        after: Option<&AuditPosition>,
        limit: u32,
    ) -> impl Future<Output = Result<AuditPage, StoreError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_actions_read_back_and_none_is_used_twice() {
        for action in ALL {
            assert_eq!(AdminAction::parse(action.as_str()), Some(action));
        }
        assert_eq!(AdminAction::parse("key.eaten"), None);
    }
}
