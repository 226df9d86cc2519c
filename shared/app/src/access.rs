//! Who may do what.

use evenstock_domain::{ActorCode, OrganizationId, Timestamp};

/// What a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Read anything of the organization.
    Read,
    /// Change stock and orders.
    Write,
    /// Change how the system itself works.
    Admin,
}

impl Scope {
    /// The scope's name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// Reads a scope's name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Admin].into_iter().find(|scope| scope.as_str() == text)
    }
}

/// A key as it is stored. The key itself is not: only its SHA-256 leads here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Public name of the key.
    pub id: String,
    /// The organization whose data it opens.
    pub organization: OrganizationId,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// Whether it may act for any organization.
    pub operator: bool,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

impl ApiKey {
    /// The short code under which the key stands in the journal: 21 bits, which take three bytes there.
    pub fn actor(&self) -> ActorCode {
        actor_of(&self.id)
    }
}

/// The code of the key with this id.
pub(crate) fn actor_of(key_id: &str) -> ActorCode {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(key_id.as_bytes());
    let mut code = [0; 4];
    code.copy_from_slice(digest.get(..4).unwrap_or(&[0; 4]));
    ActorCode((u32::from_be_bytes(code) & 0x1f_ffff).max(1))
}
