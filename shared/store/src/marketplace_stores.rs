//! Marketplace stores: one item each, the claims of their triples, their tokens, and the index of those that are due.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use evenstock_app::{
    DueStore, DueStores, MarketplaceStore, MarketplaceStores, StoreClaim, StoreError, StoreWrite, StoredStore,
};
use evenstock_domain::{StoreId, Timestamp};

use crate::errors::{corrupt, store_error};
use crate::keys::{self, DUE};
use crate::level_item::item_name;
use crate::store_item::{ClaimItem, StoreItem, TokenItem, read, read_claim, read_token};
use crate::table::{Attributes, DynamoStore, conditional, number, text, to_attributes};

/// Nobody wrote the store since it was read.
const UNCHANGED: &str = "rv = :rev";

/// There is none yet.
const ABSENT: &str = "attribute_not_exists(pk)";

impl MarketplaceStores for DynamoStore {
    async fn claim_store(&self, claim: &StoreClaim) -> Result<StoreClaim, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(&ClaimItem::new(claim))?))
            .condition_expression(ABSENT)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match conditional!(put.send().await, PutItemError::ConditionalCheckFailedException)? {
            Ok(_) => Ok(claim.clone()),
            Err(Some(standing)) => read_claim(standing, claim),
            Err(None) => Err(StoreError::Unknown("a claim that stands did not come back".into())),
        }
    }

    async fn load_store(&self, id: &StoreId) -> Result<Option<StoredStore>, StoreError> {
        self.get(&keys::store(id)).await?.map(read).transpose()
    }

    async fn save_store(&self, expected: Option<u64>, store: &MarketplaceStore) -> Result<StoreWrite, StoreError> {
        let rev = expected.map_or(1, |rev| rev.saturating_add(1));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(&StoreItem::new(rev, store))?))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match expected {
            None => put.condition_expression(ABSENT),
            Some(rev) => put.condition_expression(UNCHANGED).expression_attribute_values(":rev", number(rev)),
        };
        match conditional!(put.send().await, PutItemError::ConditionalCheckFailedException)? {
            Ok(_) => Ok(StoreWrite::Saved),
            Err(current) => Ok(StoreWrite::Conflict(current.map(read).transpose()?)),
        }
    }

    async fn point_token(&self, hash: &[u8; 32], store: &StoreId) -> Result<(), StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(&TokenItem::new(hash, store))?))
            .condition_expression(ABSENT);
        conditional!(put.send().await, PutItemError::ConditionalCheckFailedException).map(|_| ())
    }

    async fn find_token(&self, hash: &[u8; 32]) -> Result<Option<StoreId>, StoreError> {
        self.get(&keys::sync_token(hash)).await?.map(read_token).transpose()
    }

    async fn due_stores(
        &self,
        bucket: u8,
        now: Timestamp,
        limit: u32,
        after: Option<&DueStore>,
    ) -> Result<DueStores, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(DUE)
            .key_condition_expression("d = :bucket AND dt <= :now")
            .expression_attribute_values(":bucket", text(keys::due_stores(bucket)))
            .expression_attribute_values(":now", number(now.as_millis()))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|after| start_key(bucket, after)));
        let page = query.send().await.map_err(store_error)?;
        let due = page.items.unwrap_or_default().iter().map(due_store).collect::<Result<_, _>>()?;
        Ok(DueStores { due, more: page.last_evaluated_key.is_some() })
    }
}

fn start_key(bucket: u8, after: &DueStore) -> Attributes {
    let key = keys::store(&after.id);
    HashMap::from([
        ("pk".to_owned(), text(key.pk)),
        ("sk".to_owned(), text(key.sk)),
        ("d".to_owned(), text(keys::due_stores(bucket))),
        ("dt".to_owned(), number(after.due_at.as_millis())),
    ])
}

fn due_store(attributes: &Attributes) -> Result<DueStore, StoreError> {
    let part = |name| attributes.get(name).and_then(|value: &AttributeValue| value.as_s().ok());
    let due_at = attributes.get("dt").and_then(|value| value.as_n().ok()).and_then(|millis| millis.parse().ok());
    let read = || {
        let id = keys::parse_store(part("pk")?, part("sk")?)?;
        Some(DueStore { id, due_at: Timestamp::from_millis(due_at?).ok()? })
    };
    read().ok_or_else(|| corrupt(item_name(attributes), "not a due store"))
}
