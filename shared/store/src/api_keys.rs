//! API keys, found by their hash. The keys themselves are nowhere.
//!
//! The hash is the item's key in two parts, so that the first digits, which are the public id, find it too. A key that
//! was withdrawn leaves the index and stays for a while: a late repetition of the request that made it must not bring
//! it back.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use evenstock_app::{ApiKey, KeyAdminStore, KeyPage, KeyRecord, KeyStore, Scope, StoreError};
use evenstock_domain::{OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::errors::{corrupt, store_error};
use crate::keys::{self, BY_ORGANIZATION, Key};
use crate::revision::ABSENT;
use crate::table::{Attributes, DynamoStore, conditional, number, text, to_attributes};

/// How long a noted use stands for later ones, in milliseconds.
const USE_NOTED_MS: i64 = 60 * 60 * 1000;

/// How long a withdrawn key stays, in seconds: idempotency keys live 30 days.
const REVOKED_KEPT_S: i64 = 31 * 24 * 60 * 60;

/// Items that one `BatchGetItem` takes.
const BATCH_KEYS_MAX: usize = 100;

#[derive(Debug, Serialize, Deserialize)]
struct ApiKeyItem {
    pk: String,
    sk: String,
    /// Places it in its organization's list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    o: Option<String>,
    /// Public name.
    id: String,
    /// Organization.
    og: String,
    /// Scopes.
    sc: Vec<String>,
    /// Operator.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    op: bool,
    /// Expires, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ex: Option<i64>,
    /// Name for people.
    #[serde(default)]
    nm: String,
    /// How its text begins.
    #[serde(default)]
    pf: String,
    /// Created, milliseconds.
    #[serde(default)]
    cr: i64,
    /// Last used, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lu: Option<i64>,
    /// Withdrawn, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rk: Option<i64>,
}

impl ApiKeyItem {
    fn new(record: &KeyRecord) -> Self {
        let Key { pk, sk } = keys::api_key(&record.hash);
        let key = &record.key;
        Self {
            pk,
            sk,
            o: record.revoked_at.is_none().then(|| keys::api_keys_of(&key.organization)),
            id: key.id.clone(),
            og: key.organization.to_string(),
            sc: key.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            op: key.operator,
            ex: key.expires_at.map(Timestamp::as_millis),
            nm: record.name.clone(),
            pf: record.prefix.clone(),
            cr: record.created_at.as_millis(),
            lu: record.last_used_at.map(Timestamp::as_millis),
            rk: record.revoked_at.map(Timestamp::as_millis),
        }
    }

    fn into_record(self) -> Option<KeyRecord> {
        let time = |millis: Option<i64>| millis.map(Timestamp::from_millis).transpose().ok();
        Some(KeyRecord {
            hash: keys::parse_api_key(&self.pk, &self.sk)?,
            key: ApiKey {
                id: self.id,
                organization: OrganizationId::parse(&self.og).ok()?,
                scopes: self.sc.iter().map(|scope| Scope::parse(scope)).collect::<Option<_>>()?,
                operator: self.op,
                expires_at: time(self.ex)?,
            },
            name: self.nm,
            prefix: self.pf,
            created_at: Timestamp::from_millis(self.cr).ok()?,
            last_used_at: time(self.lu)?,
            revoked_at: time(self.rk)?,
        })
    }
}

/// The key's hash is as good as a password for guessing weak keys, so no message shows it.
fn read(attributes: Attributes) -> Result<KeyRecord, StoreError> {
    let item: Option<ApiKeyItem> = serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).ok();
    item.and_then(ApiKeyItem::into_record).ok_or_else(|| corrupt("an API key", "not readable"))
}

impl KeyStore for DynamoStore {
    async fn find_key(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        let found = self.get(&keys::api_key(hash)).await?.map(read).transpose()?;
        Ok(found.filter(|record| record.revoked_at.is_none()).map(|record| record.key))
    }

    async fn note_use(&self, hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
        let update = self
            .update(keys::api_key(hash))
            .update_expression("SET lu = :now")
            .condition_expression("attribute_exists(pk) AND (attribute_not_exists(lu) OR lu <= :before)")
            .expression_attribute_values(":now", number(now.as_millis()))
            .expression_attribute_values(":before", number(now.plus_millis(-USE_NOTED_MS).as_millis()));
        conditional!(update.send().await, UpdateItemError::ConditionalCheckFailedException).map(|_| ())
    }
}

impl KeyAdminStore for DynamoStore {
    async fn insert_key(&self, record: &KeyRecord) -> Result<(), StoreError> {
        let item = to_attributes(&ApiKeyItem::new(record))?;
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let put = put.condition_expression(ABSENT);
        conditional!(put.send().await, PutItemError::ConditionalCheckFailedException).map(|_| ())
    }

    async fn key_by_id(&self, id: &str) -> Result<Option<KeyRecord>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(keys::api_key_partition(id)))
            .limit(1);
        let found = query.send().await.map_err(store_error)?.items.unwrap_or_default().into_iter().next();
        found.map(read).transpose()
    }

    async fn revoke_key(&self, hash: &[u8; 32], at: Timestamp) -> Result<(), StoreError> {
        let update = self
            .update(keys::api_key(hash))
            .update_expression("SET rk = :at, x = :expires REMOVE o")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(rk)")
            .expression_attribute_values(":at", number(at.as_millis()))
            .expression_attribute_values(":expires", number(at.as_millis() / 1000 + REVOKED_KEPT_S));
        conditional!(update.send().await, UpdateItemError::ConditionalCheckFailedException).map(|_| ())
    }

    async fn keys_of(
        &self,
        organization: &OrganizationId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<KeyPage, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_ORGANIZATION)
            .key_condition_expression("o = :o AND pk > :after")
            .expression_attribute_values(":o", text(keys::api_keys_of(organization)))
            .expression_attribute_values(":after", text(keys::api_key_partition(after.unwrap_or_default())))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let page = query.send().await.map_err(store_error)?;
        let more = page.last_evaluated_key.is_some();
        let listed: Vec<_> = page.items.unwrap_or_default().iter().map(primary_key).collect::<Result<_, _>>()?;
        let mut keys = Vec::with_capacity(listed.len());
        for batch in listed.chunks(BATCH_KEYS_MAX) {
            for item in self.read_items(batch.iter().cloned()).await? {
                keys.push(read(item)?);
            }
        }
        keys.sort_by_key(|record| record.hash);
        let last = listed.last().and_then(|key| keys::parse_api_key(&key.pk, &key.sk));
        let next = last.filter(|_| more).map(|hash| evenstock_app::key_id(&hash));
        // The index may still hold what was withdrawn a moment ago.
        keys.retain(|record| record.revoked_at.is_none());
        Ok(KeyPage { keys, next })
    }
}

fn primary_key(attributes: &Attributes) -> Result<Key, StoreError> {
    let part = |name| attributes.get(name).and_then(|value| value.as_s().ok()).cloned();
    let key = part("pk").zip(part("sk")).map(|(pk, sk)| Key { pk, sk });
    key.ok_or_else(|| corrupt("an API key", "not readable"))
}
