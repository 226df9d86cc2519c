//! Listing an organization's levels: keys from the index, then the levels themselves.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use evenstock_app::{ListPage, ListPosition, StoreError};
use evenstock_domain::{LevelKey, OrganizationId, StockLevel};

use crate::errors::{corrupt, refused, store_error};
use crate::keys::{self, BY_ORGANIZATION, Key};
use crate::level_item::{LevelItem, item_name};
use crate::table::{Attributes, DynamoStore, text};

/// Keys that one `BatchGetItem` takes.
pub(crate) const BATCH_KEYS_MAX: usize = 100;

/// Tries for the keys that a throttled batch leaves over.
const BATCH_ATTEMPTS_MAX: u32 = 8;

/// A level, or why it cannot be read.
type Read = Result<(LevelKey, StockLevel), StoreError>;

impl DynamoStore {
    pub(crate) async fn list_levels(
        &self,
        organization: &OrganizationId,
        after: Option<&ListPosition>,
        limit: u32,
    ) -> Result<ListPage, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_ORGANIZATION)
            .key_condition_expression("o = :o")
            .expression_attribute_values(":o", text(organization.as_str()))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|position| start_key(organization, position)));
        let page = query.send().await.map_err(store_error)?;
        let keys: Vec<_> = page.items.unwrap_or_default().iter().map(level_key).collect::<Result<_, _>>()?;
        let next = page.last_evaluated_key.as_ref().map(level_key).transpose()?;
        let mut levels = Vec::with_capacity(keys.len());
        for batch in keys.chunks(BATCH_KEYS_MAX) {
            levels.extend(self.read_batch(batch).await?);
        }
        // The batch comes back in any order; the index's order is the listing's.
        levels.sort_by_cached_key(|(key, _)| keys.iter().position(|listed| listed == key));
        let next = next.map(|key| ListPosition { sku: key.sku, location: key.location });
        Ok(ListPage { levels, next })
    }

    /// Reads levels, in any order. Those that are not there are left out; one that cannot be read is an error.
    pub(crate) async fn read_batch(&self, keys: &[LevelKey]) -> Result<Vec<(LevelKey, StockLevel)>, StoreError> {
        self.read_each(keys).await?.into_iter().collect()
    }

    /// Reads levels, in any order, each on its own. Those that are not there are left out.
    pub(crate) async fn read_each(&self, keys: &[LevelKey]) -> Result<Vec<Read>, StoreError> {
        let items = self.read_items(keys.iter().map(keys::level)).await?;
        Ok(items.into_iter().map(read_level).collect())
    }

    /// Reads up to 100 items as the last completed writes left them, in any order. What is not there is left out.
    pub(crate) async fn read_items(&self, keys: impl Iterator<Item = Key>) -> Result<Vec<Attributes>, StoreError> {
        let mut wanted: Vec<_> = keys.map(|key| primary_key(&key)).collect();
        let mut items = Vec::with_capacity(wanted.len());
        if wanted.is_empty() {
            return Ok(items);
        }
        for _ in 0..BATCH_ATTEMPTS_MAX {
            let request = KeysAndAttributes::builder().set_keys(Some(wanted)).consistent_read(true).build();
            let batch = self.client.batch_get_item().request_items(&self.table, request.map_err(refused)?);
            let got = batch.send().await.map_err(store_error)?;
            items.extend(got.responses.unwrap_or_default().remove(&self.table).unwrap_or_default());
            let left = got.unprocessed_keys.unwrap_or_default().remove(&self.table);
            match left {
                Some(left) if !left.keys.is_empty() => wanted = left.keys,
                _ => return Ok(items),
            }
        }
        Err(StoreError::exhausted(BATCH_ATTEMPTS_MAX))
    }
}

fn read_level(attributes: Attributes) -> Read {
    let item = LevelItem::read(attributes)?;
    Ok((item.key()?, item.into_stored()?.level))
}

fn primary_key(key: &Key) -> Attributes {
    HashMap::from([("pk".to_owned(), text(&key.pk)), ("sk".to_owned(), text(&key.sk))])
}

pub(crate) fn start_key(organization: &OrganizationId, position: &ListPosition) -> Attributes {
    let (sku, location) = (position.sku.clone(), position.location.clone());
    let level = keys::level(&LevelKey { organization: organization.clone(), sku, location });
    let mut key = primary_key(&level);
    key.insert("o".to_owned(), text(organization.as_str()));
    key
}

pub(crate) fn level_key(attributes: &Attributes) -> Result<LevelKey, StoreError> {
    let part = |name| attributes.get(name).and_then(|value: &AttributeValue| value.as_s().ok());
    let key = part("pk").zip(part("sk")).and_then(|(pk, sk)| keys::parse_level(pk, sk));
    key.ok_or_else(|| corrupt(item_name(attributes), "not a level's key"))
}
