//! The change feeds: pages put once, and the marker beside them.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use evenstock_app::{FeedStore, StoreError};
use evenstock_domain::{ChangePage, FeedMarker, FeedTail, OrganizationId};

use crate::change_page_item::{ChangePageItem, FeedMarkerItem, read_marker, read_page};
use crate::errors::store_error;
use crate::keys;
use crate::revision::ABSENT;
use crate::table::{Attributes, DynamoStore, conditional, number, text, to_attributes};

/// Nobody moved the start or raised the ceiling since they were read.
const UNMOVED: &str = "st = :start AND ce = :ceiling AND #at = :at";

/// Queries that one call makes: each answers a megabyte, which is more than sixty pages.
const QUERIES_MAX: u32 = 64;

impl FeedStore for DynamoStore {
    async fn feed_tail(&self, organization: &OrganizationId, limit: u32) -> Result<FeedTail, StoreError> {
        let range = (keys::CHANGE_PAGE_PREFIX.to_owned(), keys::FEED_MARKER.to_owned());
        let mut items = self.feed_items(organization, range, false, limit.saturating_add(1)).await?;
        let is_marker = |item: &Attributes| item.get("sk") == Some(&text(keys::FEED_MARKER));
        let marker = if items.first().is_some_and(is_marker) { Some(read_marker(items.remove(0))?) } else { None };
        items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(FeedTail { marker, pages: items.into_iter().map(read_page).collect::<Result<_, _>>()? })
    }

    async fn feed_back(
        &self,
        organization: &OrganizationId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<ChangePage>, StoreError> {
        let range = (keys::CHANGE_PAGE_PREFIX.to_owned(), keys::change_page(seq));
        let items = self.feed_items(organization, range, false, limit).await?;
        items.into_iter().map(read_page).collect()
    }

    async fn feed_forward(
        &self,
        organization: &OrganizationId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<ChangePage>, StoreError> {
        let range = (keys::change_page(seq.saturating_add(1)), keys::change_page(u64::MAX));
        let items = self.feed_items(organization, range, true, limit).await?;
        items.into_iter().map(read_page).collect()
    }

    async fn put_change_page(&self, organization: &OrganizationId, page: &ChangePage) -> Result<bool, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(&ChangePageItem::new(organization, page))?))
            .condition_expression(ABSENT);
        conditional!(put.send().await, PutItemError::ConditionalCheckFailedException).map(|put| put.is_ok())
    }

    async fn mark_feed(
        &self,
        organization: &OrganizationId,
        expected: Option<&FeedMarker>,
        marker: &FeedMarker,
    ) -> Result<bool, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(&FeedMarkerItem::new(organization, marker))?));
        let put = match expected {
            None => put.condition_expression(ABSENT),
            Some(expected) => put
                .condition_expression(UNMOVED)
                .expression_attribute_names("#at", "at")
                .expression_attribute_values(":start", number(expected.start))
                .expression_attribute_values(":ceiling", number(expected.ceiling))
                .expression_attribute_values(":at", number(expected.set_at.as_millis())),
        };
        conditional!(put.send().await, PutItemError::ConditionalCheckFailedException).map(|put| put.is_ok())
    }
}

impl DynamoStore {
    /// Items of a feed with sort keys from `first` to `last`, as every completed write left them.
    async fn feed_items(
        &self,
        organization: &OrganizationId,
        (first, last): (String, String),
        forward: bool,
        limit: u32,
    ) -> Result<Vec<Attributes>, StoreError> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut items: Vec<HashMap<String, AttributeValue>> = Vec::new();
        let mut from = None;
        for _ in 0..QUERIES_MAX {
            let left = wanted.saturating_sub(items.len());
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .scan_index_forward(forward)
                .limit(i32::try_from(left).unwrap_or(i32::MAX))
                .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
                .expression_attribute_values(":pk", text(keys::feed(organization)))
                .expression_attribute_values(":first", text(&first))
                .expression_attribute_values(":last", text(&last))
                .set_exclusive_start_key(from.take());
            let found = query.send().await.map_err(store_error)?;
            items.extend(found.items.unwrap_or_default());
            match found.last_evaluated_key {
                Some(key) if items.len() < wanted => from = Some(key),
                _ => return Ok(items),
            }
        }
        Err(StoreError::exhausted(QUERIES_MAX))
    }
}
