//! Bulk syncs that come in parts, and what the parts named. Both go by themselves.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use evenstock_app::{BulkSync, BulkSyncStore, StoreError};
use evenstock_domain::{LocationId, OrganizationId, Sku, Timestamp};
use serde::{Deserialize, Serialize};

use crate::errors::{corrupt, store_error};
use crate::keys::{self, Key};
use crate::level_item::item_name;
use crate::revision::ABSENT;
use crate::table::{Attributes, DynamoStore, conditional, number, text, to_attributes};

/// The name is unused, or its sync has run out, deleted or not.
const UNUSED: &str = "attribute_not_exists(pk) OR ex <= :now";

#[derive(Debug, Serialize, Deserialize)]
struct SyncItem {
    pk: String,
    sk: String,
    /// Organization.
    og: String,
    /// The client's name.
    i: String,
    /// Location.
    l: String,
    /// Begun, milliseconds.
    t: i64,
    /// Runs out, milliseconds.
    ex: i64,
    /// When it may be deleted, seconds.
    x: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct PartItem {
    pk: String,
    sk: String,
    /// Products.
    p: Vec<String>,
    /// When it may be deleted, seconds.
    x: i64,
}

impl BulkSyncStore for DynamoStore {
    async fn begin_sync(&self, sync: &BulkSync) -> Result<BulkSync, StoreError> {
        let Key { pk, sk } = keys::bulk_sync(&sync.organization, &sync.id);
        let item = SyncItem {
            pk,
            sk,
            og: sync.organization.to_string(),
            i: sync.id.clone(),
            l: sync.location.to_string(),
            t: sync.started_at.as_millis(),
            ex: sync.expires_at.as_millis(),
            x: deletable(sync),
        };
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(&item)?))
            .condition_expression(UNUSED)
            .expression_attribute_values(":now", number(sync.started_at.as_millis()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match conditional!(put.send().await, PutItemError::ConditionalCheckFailedException)? {
            Ok(_) => Ok(sync.clone()),
            Err(known) => read(known.unwrap_or_default()),
        }
    }

    async fn add_part(&self, sync: &BulkSync, part: &str, products: &[Sku]) -> Result<(), StoreError> {
        let Key { pk, .. } = keys::bulk_sync(&sync.organization, &sync.id);
        let item = PartItem {
            pk,
            sk: format!("{}{part}", keys::part_prefix(sync.started_at)),
            p: products.iter().map(ToString::to_string).collect(),
            x: deletable(sync),
        };
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(&item)?))
            .condition_expression(ABSENT);
        conditional!(put.send().await, PutItemError::ConditionalCheckFailedException).map(|_| ())
    }

    async fn named(&self, sync: &BulkSync, parts_max: usize) -> Result<Option<BTreeSet<Sku>>, StoreError> {
        let (mut named, mut parts, mut from) = (BTreeSet::new(), 0_usize, None);
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND begins_with(sk, :parts)")
                .expression_attribute_values(":pk", text(keys::bulk_sync(&sync.organization, &sync.id).pk))
                .expression_attribute_values(":parts", text(keys::part_prefix(sync.started_at)))
                .set_exclusive_start_key(from.take());
            let page = query.send().await.map_err(store_error)?;
            for attributes in page.items.unwrap_or_default() {
                parts = parts.saturating_add(1);
                if parts > parts_max {
                    return Ok(None);
                }
                named.extend(read_part(attributes)?);
            }
            match page.last_evaluated_key {
                Some(key) => from = Some(key),
                None => return Ok(Some(named)),
            }
        }
    }
}

const fn deletable(sync: &BulkSync) -> i64 {
    sync.expires_at.as_millis() / 1000 + 1
}

fn read(attributes: Attributes) -> Result<BulkSync, StoreError> {
    let name = item_name(&attributes);
    let item: SyncItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    let parts = || {
        Some(BulkSync {
            organization: OrganizationId::parse(&item.og).ok()?,
            id: item.i.clone(),
            location: LocationId::parse(&item.l).ok()?,
            started_at: Timestamp::from_millis(item.t).ok()?,
            expires_at: Timestamp::from_millis(item.ex).ok()?,
        })
    };
    parts().ok_or_else(|| corrupt(name, "not a bulk sync"))
}

fn read_part(attributes: Attributes) -> Result<Vec<Sku>, StoreError> {
    let name = item_name(&attributes);
    let item: PartItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    let names: Result<Vec<_>, _> = item.p.iter().map(|sku| Sku::parse(sku)).collect();
    names.map_err(|_| corrupt(name, "a product's name"))
}
