//! Stock levels: the one item, its two write paths, and reading.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use evenstock_app::{Appended, Commit, ListPage, ListPosition, StockStore, StoreError, Stored};
use evenstock_domain::{
    BlindRequest, LevelKey, LocationId, OrganizationId, PAGE_ENTRIES, Page, RECENT_ENTRIES_MAX, Sku, StockLevel,
    Timestamp, encode_entry,
};
use evenstock_telemetry::current;

use crate::errors::store_error;
use crate::keys::{self, LEVEL_PREFIX};
use crate::level_item::{LevelItem, SCHEMA, id_bytes};
use crate::revision::following;
use crate::table::{Attributes, DynamoStore, conditional, number, text};

/// What every blind append asks: the layout is ours, also where it grew, and the entry is new and fits. An item from
/// before headroom was kept gets it when it is written whole.
const APPENDABLE: &str = "v = :v AND attribute_exists(hr) AND size(re) < :room AND NOT contains(ids, :id)";

/// Its repetition would be found in the level itself, because everything that was spilled is older.
const NEWER_THAN_SPILLED: &str = "sp < :time";

/// Its repetition would be found in the level itself, because everything that was spilled was searched in vain.
const SPILLED_SEARCHED: &str = "pg <= :pages";

/// One entry more. `list_append` keeps the journal in order.
const APPEND: &str = "SET av = av + :a, hr = hr + :a, rs = rs + :r, vs = vs + :one, rv = rv + :one, ua = :now, \
                      re = list_append(re, :entry)";

/// The set of ids is what `contains` looks into.
const ADD_ID: &str = "ADD ids :ids";

/// The oldest entry is still the one that was seen, so the stored page is the one to drop.
const PAGE_THERE: &str = "v = :v AND re[0] = :first";

impl StockStore for DynamoStore {
    async fn load(&self, key: &LevelKey) -> Result<Option<Stored>, StoreError> {
        self.get(&keys::level(key)).await?.map(read).transpose()
    }

    async fn commit(&self, key: &LevelKey, expected: Option<u64>, level: &StockLevel) -> Result<Commit, StoreError> {
        let item = LevelItem::new(key, following(expected), level);
        match self.put_over(expected, &item).await? {
            Ok(()) => Ok(Commit::Committed),
            Err(current) => Ok(Commit::Conflict(current.map(read).transpose()?)),
        }
    }

    async fn append(&self, key: &LevelKey, request: &BlindRequest) -> Result<Appended, StoreError> {
        let (condition, mut values) = append_condition(request);
        // The trace of the write before is not this one's.
        let trace = match current() {
            Some(trace) => {
                values.insert(":tc".to_owned(), AttributeValue::B(Blob::new(trace.to_bytes())));
                ", tc = :tc"
            }
            None => " REMOVE tc",
        };
        let update = self
            .update(keys::level(key))
            .update_expression(format!("{APPEND}{trace} {ADD_ID}"))
            .condition_expression(condition)
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match conditional!(update.send().await, UpdateItemError::ConditionalCheckFailedException)? {
            Ok(output) => Ok(Appended::Applied(read(output.attributes.unwrap_or_default())?)),
            Err(current) => Ok(Appended::Refused(current.map(read).transpose()?)),
        }
    }

    async fn put_page(&self, key: &LevelKey, page: &Page) -> Result<(), StoreError> {
        self.put_journal_page(key, page).await
    }

    async fn drop_page(&self, key: &LevelKey, seen: &StockLevel) -> Result<bool, StoreError> {
        let Some(gone) = seen.recent.get(..PAGE_ENTRIES) else {
            return Ok(false);
        };
        let mut left = seen.clone();
        left.drop_page();
        let first = gone.first().map(encode_entry).unwrap_or_default();
        let ids = gone.iter().map(|entry| Blob::new(id_bytes(entry.id).into_vec())).collect();
        let update = self
            .update(keys::level(key))
            .update_expression(drop_expression())
            .condition_expression(PAGE_THERE)
            .expression_attribute_values(":v", number(SCHEMA))
            .expression_attribute_values(":first", AttributeValue::B(Blob::new(first)))
            .expression_attribute_values(":ids", AttributeValue::Bs(ids))
            .expression_attribute_values(":through", number(left.spilled_through.as_millis()))
            .expression_attribute_values(":one", number(1));
        match conditional!(update.send().await, UpdateItemError::ConditionalCheckFailedException)? {
            Ok(_) => Ok(true),
            Err(_) => Ok(false),
        }
    }

    async fn pages_since(&self, key: &LevelKey, start: Timestamp) -> Result<Vec<Page>, StoreError> {
        self.journal_pages_since(key, start).await
    }

    async fn pages_before(
        &self,
        key: &LevelKey,
        version: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Page>, StoreError> {
        self.journal_pages_before(key, version, until, limit).await
    }

    async fn levels_of(
        &self,
        organization: &OrganizationId,
        sku: &Sku,
    ) -> Result<Vec<(LocationId, StockLevel)>, StoreError> {
        let mut levels = Vec::new();
        let mut from = None;
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND begins_with(sk, :level)")
                .expression_attribute_values(":pk", text(keys::sku_partition(organization, sku)))
                .expression_attribute_values(":level", text(LEVEL_PREFIX))
                .set_exclusive_start_key(from.take());
            let page = query.send().await.map_err(store_error)?;
            for attributes in page.items.unwrap_or_default() {
                let item = LevelItem::read(attributes)?;
                levels.push((item.key()?.location, item.into_stored()?.level));
            }
            match page.last_evaluated_key {
                Some(key) => from = Some(key),
                None => return Ok(levels),
            }
        }
    }

    async fn list(
        &self,
        organization: &OrganizationId,
        after: Option<&ListPosition>,
        limit: u32,
    ) -> Result<ListPage, StoreError> {
        self.list_levels(organization, after, limit).await
    }
}

pub(crate) fn read(attributes: Attributes) -> Result<Stored, StoreError> {
    LevelItem::read(attributes)?.into_stored()
}

/// The conditions of [`BlindRequest::fits`], as DynamoDB checks them.
fn append_condition(request: &BlindRequest) -> (String, HashMap<String, AttributeValue>) {
    let entry = &request.entry;
    let id = Blob::new(id_bytes(entry.id).into_vec());
    let mut conditions = vec![APPENDABLE];
    let mut values = HashMap::from([
        (":v".to_owned(), number(SCHEMA)),
        (":room".to_owned(), number(RECENT_ENTRIES_MAX)),
        (":id".to_owned(), AttributeValue::B(id.clone())),
        (":ids".to_owned(), AttributeValue::Bs(vec![id])),
        (":entry".to_owned(), AttributeValue::L(vec![AttributeValue::B(Blob::new(encode_entry(entry)))])),
        (":a".to_owned(), number(entry.available)),
        (":r".to_owned(), number(entry.reserved)),
        (":one".to_owned(), number(1)),
        (":now".to_owned(), number(entry.committed_at.as_millis())),
    ]);
    let (known, name, value) = match request.pages_max() {
        None => (NEWER_THAN_SPILLED, ":time", number(entry.time.as_millis())),
        Some(pages) => (SPILLED_SEARCHED, ":pages", number(pages)),
    };
    conditions.push(known);
    values.insert(name.to_owned(), value);
    let bounds = [
        ("hr >= :needed", ":needed", request.units_needed().map(number)),
        ("av <= :amax", ":amax", request.available_max().map(number)),
        ("rs <= :rmax", ":rmax", request.reserved_max().map(number)),
        ("vs = :version", ":version", request.expected_version.map(number)),
    ];
    for (condition, name, value) in bounds {
        if let Some(value) = value {
            conditions.push(condition);
            values.insert(name.to_owned(), value);
        }
    }
    (conditions.join(" AND "), values)
}

/// Removes a page's worth of entries from the front. The last is named first: DynamoDB means the positions before the
/// update, but there are emulators that remove one after the other, and the later ones would have moved.
fn drop_expression() -> String {
    let entries: Vec<_> = (0..PAGE_ENTRIES).rev().map(|position| format!("re[{position}]")).collect();
    format!("SET sp = :through, pg = pg + :one, rv = rv + :one REMOVE {} DELETE ids :ids", entries.join(", "))
}
