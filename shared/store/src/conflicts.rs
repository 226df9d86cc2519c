//! Conflicts with warehouses: one partition an organization, in the order of the changes' times.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use evenstock_app::{Conflict, ConflictPage, ConflictStore, StoreError};
use evenstock_domain::OrganizationId;

use crate::errors::store_error;
use crate::keys;
use crate::revision::ABSENT;
use crate::table::{DynamoStore, conditional, text, to_attributes};
use crate::warehouse_item::{ConflictItem, read_conflict};

/// It was recorded, and nobody settled it.
const OPEN: &str = "attribute_exists(pk) AND attribute_not_exists(ra)";

/// Items that one listing looks through, at most, to find the ones that are asked for.
const LOOKED_THROUGH_MAX: i32 = 1000;

impl ConflictStore for DynamoStore {
    async fn record_conflict(&self, conflict: &Conflict) -> Result<(), StoreError> {
        self.put_conflict(conflict, ABSENT).await.map(|_| ())
    }

    async fn load_conflict(&self, organization: &OrganizationId, id: &str) -> Result<Option<Conflict>, StoreError> {
        self.get(&keys::conflict(organization, id)).await?.map(read_conflict).transpose()
    }

    async fn settle_conflict(&self, conflict: &Conflict) -> Result<bool, StoreError> {
        self.put_conflict(conflict, OPEN).await
    }

    async fn conflicts(
        &self,
        organization: &OrganizationId,
        open: Option<bool>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<ConflictPage, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let start = after.map(|id| keys::conflict(organization, id));
        let start = start.map(|key| HashMap::from([("pk".to_owned(), text(key.pk)), ("sk".to_owned(), text(key.sk))]));
        let filter = open.map(|open| if open { "attribute_not_exists(ra)" } else { "attribute_exists(ra)" });
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(keys::conflicts_of(organization)))
            .expression_attribute_values(":prefix", text(keys::CONFLICT_PREFIX))
            .set_filter_expression(filter.map(str::to_owned))
            // Without a filter each item looked at is one found; one more tells whether there are more.
            .limit(if open.is_none() { i32::try_from(limit + 1).unwrap_or(i32::MAX) } else { LOOKED_THROUGH_MAX })
            .set_exclusive_start_key(start);
        let page = query.send().await.map_err(store_error)?;
        let last_looked_at = page.last_evaluated_key.as_ref().and_then(|key| key.get("sk")?.as_s().ok()).cloned();
        let mut conflicts: Vec<_> =
            page.items.unwrap_or_default().into_iter().map(read_conflict).collect::<Result<_, _>>()?;
        if conflicts.len() > limit {
            conflicts.truncate(limit);
            let next = conflicts.last().map(|last| last.id.clone());
            return Ok(ConflictPage { conflicts, next });
        }
        let next = last_looked_at.and_then(|sk| keys::conflict_id(&sk));
        Ok(ConflictPage { conflicts, next })
    }
}

impl DynamoStore {
    async fn put_conflict(&self, conflict: &Conflict, condition: &str) -> Result<bool, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(&ConflictItem::new(conflict))?))
            .condition_expression(condition);
        let put = conditional!(put.send().await, PutItemError::ConditionalCheckFailedException)?;
        Ok(put.is_ok())
    }
}
