//! Receipts: one item each, the index of those that are due, and the index of those that were answered.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Select};
use evenstock_app::{DueReceipt, DueReceipts, ReceiptPage, ReceiptStore, ReceiptWrite, StoreError, StoredReceipt};
use evenstock_domain::{Receipt, ReceiptId, ReceiptState, StoreId, Timestamp};

use crate::due::read_due;
use crate::errors::{corrupt, store_error};
use crate::keys::{self, BY_STATE, RECEIPT_PREFIX};
use crate::level_item::item_name;
use crate::receipt_item::{ReceiptItem, read};
use crate::revision::following;
use crate::table::{Attributes, DynamoStore, number, text};

impl ReceiptStore for DynamoStore {
    async fn load_receipt(&self, store: &StoreId, id: &ReceiptId) -> Result<Option<StoredReceipt>, StoreError> {
        self.get(&keys::receipt(store, id)).await?.map(read).transpose()
    }

    async fn save_receipt(&self, expected: Option<u64>, receipt: &Receipt) -> Result<ReceiptWrite, StoreError> {
        let item = ReceiptItem::new(following(expected), receipt);
        match self.put_over(expected, &item).await? {
            Ok(()) => Ok(ReceiptWrite::Saved),
            Err(current) => Ok(ReceiptWrite::Conflict(current.map(read).transpose()?)),
        }
    }

    async fn due_receipts(
        &self,
        store: &StoreId,
        until: Timestamp,
        limit: u32,
        after: Option<&DueReceipt>,
    ) -> Result<DueReceipts, StoreError> {
        let after = after.map(|after| (after.due_at, keys::receipt(store, &after.id)));
        let query = self.query_due(keys::due_receipts(store), until, limit, after);
        let page = query.send().await.map_err(store_error)?;
        let due = page.items.unwrap_or_default().iter().map(due_receipt).collect::<Result<_, _>>()?;
        Ok(DueReceipts { due, more: page.last_evaluated_key.is_some() })
    }

    async fn latest_answers(
        &self,
        store: &StoreId,
        state: ReceiptState,
        limit: u32,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let query = self.answered(store, state, "u = :group");
        let query = query.scan_index_forward(false).limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let page = query.send().await.map_err(store_error)?;
        let time = |attributes: &Attributes| {
            let millis =
                attributes.get("ut").and_then(|value| value.as_n().ok()).and_then(|millis| millis.parse().ok());
            let time = millis.and_then(|millis| Timestamp::from_millis(millis).ok());
            time.ok_or_else(|| corrupt(item_name(attributes), "not an answered receipt"))
        };
        page.items.unwrap_or_default().iter().map(time).collect()
    }

    async fn count_receipts(&self, store: &StoreId, state: ReceiptState) -> Result<u64, StoreError> {
        let (mut count, mut start) = (0_u64, None);
        loop {
            let query = self.answered(store, state, "u = :group").select(Select::Count);
            let page = query.set_exclusive_start_key(start.take()).send().await.map_err(store_error)?;
            count = count.saturating_add(u64::try_from(page.count).unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }

    async fn orders_at(&self, store: &StoreId, answered_at: Timestamp) -> Result<Vec<ReceiptId>, StoreError> {
        let query = self.answered(store, ReceiptState::Success, "u = :group AND ut = :time");
        let query = query.expression_attribute_values(":time", number(answered_at.as_millis()));
        let (mut ids, mut start) = (Vec::new(), None);
        loop {
            let page = query.clone().set_exclusive_start_key(start.take()).send().await.map_err(store_error)?;
            let found = page.items.unwrap_or_default();
            ids.extend(found.iter().map(receipt_id).collect::<Result<Vec<_>, _>>()?);
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(ids);
            }
        }
    }

    async fn list_receipts(
        &self,
        store: &StoreId,
        state: Option<ReceiptState>,
        limit: u32,
        after: Option<&ReceiptId>,
    ) -> Result<ReceiptPage, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(keys::store(store).pk))
            .expression_attribute_values(":prefix", text(RECEIPT_PREFIX))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|after| primary_key(store, after)));
        let query = match state {
            None => query,
            Some(state) => {
                query.filter_expression("st = :state").expression_attribute_values(":state", text(state.as_str()))
            }
        };
        let page = query.send().await.map_err(store_error)?;
        let next = page.last_evaluated_key.as_ref().map(receipt_id).transpose()?;
        let receipts = page.items.unwrap_or_default().into_iter().map(|item| read(item).map(|stored| stored.receipt));
        Ok(ReceiptPage { receipts: receipts.collect::<Result<_, _>>()?, next })
    }
}

impl DynamoStore {
    /// A query of a store's receipts that are in an answered state.
    fn answered(&self, store: &StoreId, state: ReceiptState, condition: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .index_name(BY_STATE)
            .key_condition_expression(condition)
            .expression_attribute_values(":group", text(keys::receipts_in(state, store)))
    }
}

fn primary_key(store: &StoreId, id: &ReceiptId) -> Attributes {
    let key = keys::receipt(store, id);
    HashMap::from([("pk".to_owned(), text(key.pk)), ("sk".to_owned(), text(key.sk))])
}

fn receipt_id(attributes: &Attributes) -> Result<ReceiptId, StoreError> {
    let part = |name| attributes.get(name).and_then(|value: &AttributeValue| value.as_s().ok());
    let key = part("pk").zip(part("sk")).and_then(|(pk, sk)| keys::parse_receipt(pk, sk));
    key.map(|(_, id)| id).ok_or_else(|| corrupt(item_name(attributes), "not a receipt's key"))
}

fn due_receipt(row: &Attributes) -> Result<DueReceipt, StoreError> {
    let ((_, id), due_at) = read_due(row, keys::parse_receipt)?;
    Ok(DueReceipt { id, due_at })
}
