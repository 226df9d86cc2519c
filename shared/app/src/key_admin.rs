//! Making and withdrawing API keys, and the port that keeps them.
//!
//! A key's text is shown once and stored nowhere: its SHA-256 finds it. Whoever makes or withdraws one is written into
//! the audit log first, so that no key exists that nobody made.

use core::future::Future;

use evenstock_domain::{OrganizationId, Timestamp};
use sha2::{Digest, Sha256};

use crate::{AdminAction, ApiKey, AuditEntry, AuditLog, Scope, StoreError};

/// Random bytes of a key: four that everybody may see, and 32 that are the secret.
pub const KEY_RANDOM_BYTES: usize = 36;

/// What every key begins with, so that people and scanners know one when they see it.
const KEY_MARK: &str = "es_";

/// Characters of a key that may be shown: the mark and the four bytes.
const PREFIX_CHARACTERS: usize = 11;

/// Bytes of a key's hash that are its id.
const ID_BYTES: usize = 8;

/// The text of a key: `es_`, eight digits that tell keys apart, `_`, and 64 digits that nobody can guess.
pub fn key_text(random: &[u8; KEY_RANDOM_BYTES]) -> String {
    let (label, secret) = random.split_at(4);
    format!("{KEY_MARK}{}_{}", hex::encode(label), hex::encode(secret))
}

/// A key as its administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// What it opens.
    pub key: ApiKey,
    /// Its name, for people.
    pub name: String,
    /// How its text begins.
    pub prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the hour; `None` when it never was.
    pub last_used_at: Option<Timestamp>,
    /// When it was withdrawn.
    pub revoked_at: Option<Timestamp>,
}

/// What a new key shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The organization whose data it opens.
    pub organization: OrganizationId,
    /// Its name, for people.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// Whether it may act for any organization.
    pub operator: bool,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

impl NewKey {
    /// The record of this key with the text `text`.
    pub fn into_record(self, text: &str, created_at: Timestamp) -> KeyRecord {
        let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let Self { organization, name, scopes, operator, expires_at } = self;
        KeyRecord {
            hash,
            key: ApiKey { id: key_id(&hash), organization, scopes, operator, expires_at },
            name,
            prefix: text.chars().take(PREFIX_CHARACTERS).collect(),
            created_at,
            last_used_at: None,
            revoked_at: None,
        }
    }
}

/// The public id of a key: the first digits of its hash, so that it leads to the key without an index.
pub fn key_id(hash: &[u8; 32]) -> String {
    hex::encode(hash.get(..ID_BYTES).unwrap_or_default())
}

/// A page of an organization's keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPage {
    /// Keys that were not withdrawn, by id.
    pub keys: Vec<KeyRecord>,
    /// The id behind which the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// Where keys are administered.
pub trait KeyAdminStore: Send + Sync {
    /// Puts a key. Does nothing when it is there, withdrawn or not: what was withdrawn stays so.
    fn insert_key(&self, record: &KeyRecord) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Finds a key by its id, withdrawn or not.
    fn key_by_id(&self, id: &str) -> impl Future<Output = Result<Option<KeyRecord>, StoreError>> + Send;

    /// Withdraws a key; it keeps the time at which it first was. Does nothing when it is not there.
    fn revoke_key(&self, hash: &[u8; 32], at: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lists an organization's keys, at most `limit` behind `after`. One made or withdrawn a moment ago may be missing
    /// or still there.
    fn keys_of(
        &self,
        organization: &OrganizationId,
        after: Option<&str>,
        limit: u32,
    ) -> impl Future<Output = Result<KeyPage, StoreError>> + Send;
}

/// Who administers, and the operation's own id and time: the same for every repetition.
#[derive(Debug, Clone)]
pub struct AdminRequest<'a> {
    /// The key that asks.
    pub by: &'a ApiKey,
    /// Names the operation.
    pub id: String,
    /// When it was first asked for.
    pub at: Timestamp,
}

impl AdminRequest<'_> {
    /// This request as an entry of the audit log: what was done to what.
    pub fn entry(&self, organization: &OrganizationId, action: AdminAction, target: &str, about: String) -> AuditEntry {
        AuditEntry {
            organization: organization.clone(),
            id: self.id.clone(),
            at: self.at,
            action,
            actor: self.by.id.clone(),
            target: target.to_owned(),
            about,
        }
    }

    /// Writes down what is about to be done. It must not be done when this fails.
    ///
    /// # Errors
    /// [`StoreError`] when the entry is not known to be durable.
    pub async fn write_down<S: AuditLog>(
        &self,
        store: &S,
        organization: &OrganizationId,
        action: AdminAction,
        target: &str,
        about: String,
    ) -> Result<(), StoreError> {
        store.append_audit(&self.entry(organization, action, target, about)).await
    }
}

/// Makes a key. May be repeated with the same record.
///
/// # Errors
/// [`StoreError`] when it is not known to be durable.
pub async fn create_key<S: KeyAdminStore + AuditLog>(
    store: &S,
    request: &AdminRequest<'_>,
    record: &KeyRecord,
) -> Result<(), StoreError> {
    let KeyRecord { key, name, prefix, .. } = record;
    let scopes: Vec<_> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let operator = if key.operator { ", operator" } else { "" };
    let about = format!("{name} ({prefix}…): {}{operator}", scopes.join(", "));
    request.write_down(store, &key.organization, AdminAction::KeyCreated, &key.id, about).await?;
    store.insert_key(record).await
}

/// What became of the wish to withdraw a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It is withdrawn, now or before.
    Revoked,
    /// The organization has no such key.
    Unknown,
    /// It is an operator's, and the caller is none.
    OperatorsOnly,
}

/// Withdraws a key of an organization. May be repeated.
///
/// # Errors
/// [`StoreError`] when it is not known to be durable.
pub async fn revoke_key<S: KeyAdminStore + AuditLog>(
    store: &S,
    request: &AdminRequest<'_>,
    organization: &OrganizationId,
    id: &str,
) -> Result<Revocation, StoreError> {
    let found = store.key_by_id(id).await?.filter(|record| record.key.organization == *organization);
    let Some(record) = found else {
        return Ok(Revocation::Unknown);
    };
    if record.key.operator && !request.by.operator {
        return Ok(Revocation::OperatorsOnly);
    }
    if record.revoked_at.is_none() {
        let about = format!("{} ({}…)", record.name, record.prefix);
        request.write_down(store, organization, AdminAction::KeyRevoked, id, about).await?;
        store.revoke_key(&record.hash, request.at).await?;
    }
    Ok(Revocation::Revoked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_key_shows_its_beginning_and_hides_the_rest() {
        let mut random = [7; KEY_RANDOM_BYTES];
        random[..4].copy_from_slice(&[0xab, 0xcd, 0, 1]);
        let text = key_text(&random);
        assert_eq!(text, format!("es_abcd0001_{}", "07".repeat(32)));
        let organization = OrganizationId::parse("shop").unwrap();
        let new = NewKey { organization, name: "till".to_owned(), scopes: vec![], operator: false, expires_at: None };
        let record = new.into_record(&text, Timestamp::EPOCH);
        assert_eq!((record.prefix.as_str(), record.key.id.len()), ("es_abcd0001", 16));
        assert!(hex::encode(record.hash).starts_with(&record.key.id));
    }
}
