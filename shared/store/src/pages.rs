//! Journal pages: put once, found by time.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use evenstock_app::StoreError;
use evenstock_domain::{LevelKey, Page, PageSearch, Timestamp, encode_entry};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::errors::{corrupt, store_error};
use crate::keys::{self, Key};
use crate::level_item::{item_name, read_entries, read_sources};
use crate::revision::ABSENT;
use crate::table::{Attributes, DynamoStore, conditional, text, to_attributes};

/// Pages that one query asks for. Most searches end within the first.
const QUERY_PAGES: i32 = 64;

/// Queries of one search: a hot level's four days fit in.
const QUERIES_MAX: u32 = 512;

#[derive(Debug, Serialize, Deserialize)]
struct PageItem {
    pk: String,
    sk: String,
    /// Entries.
    e: Vec<ByteBuf>,
    /// Names of sources.
    so: Vec<String>,
    /// When it may be deleted, seconds.
    x: i64,
}

impl DynamoStore {
    pub(crate) async fn put_journal_page(&self, key: &LevelKey, page: &Page) -> Result<(), StoreError> {
        let Key { pk, sk } = keys::page(key, page);
        let newest = page.entries.iter().map(|entry| entry.committed_at).max().unwrap_or_default();
        let item = PageItem {
            pk,
            sk,
            e: page.entries.iter().map(|entry| ByteBuf::from(encode_entry(entry))).collect(),
            so: page.sources.iter().map(ToString::to_string).collect(),
            x: newest.as_millis() / 1000 + i64::from(self.history_days) * 86_400,
        };
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(&item)?))
            .condition_expression(ABSENT);
        // Refused means that it is there already, which is what was wanted.
        conditional!(put.send().await, PutItemError::ConditionalCheckFailedException).map(|_| ())
    }

    /// Newest first, until the search has what it needs.
    pub(crate) async fn journal_pages_since(&self, key: &LevelKey, start: Timestamp) -> Result<Vec<Page>, StoreError> {
        let mut search = PageSearch::new(start);
        self.walk_back(key, Timestamp::MAX, |page| search.take(page)).await?;
        Ok(search.finish())
    }

    /// Newest first, until there are `limit` that begin with a version up to `version`.
    pub(crate) async fn journal_pages_before(
        &self,
        key: &LevelKey,
        version: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Page>, StoreError> {
        let mut pages = Vec::new();
        self.walk_back(key, until, |page| {
            if page.first_version <= version && pages.len() < limit {
                pages.push(page);
            }
            pages.len() >= limit
        })
        .await?;
        Ok(pages)
    }

    /// Shows the pages begun by `until`, newest first, until `enough` says so.
    async fn walk_back(
        &self,
        key: &LevelKey,
        until: Timestamp,
        mut enough: impl FnMut(Page) -> bool + Send,
    ) -> Result<(), StoreError> {
        let mut from = None;
        for _ in 0..QUERIES_MAX {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .scan_index_forward(false)
                .limit(QUERY_PAGES)
                .key_condition_expression("pk = :pk AND sk BETWEEN :oldest AND :newest")
                .expression_attribute_values(":pk", text(keys::sku_partition(&key.organization, &key.sku)))
                .expression_attribute_values(":oldest", text(keys::page_prefix(key)))
                .expression_attribute_values(":newest", text(keys::last_page_until(key, until)))
                .set_exclusive_start_key(from.take());
            let found = query.send().await.map_err(store_error)?;
            for attributes in found.items.unwrap_or_default() {
                if enough(read(key, attributes)?) {
                    return Ok(());
                }
            }
            match found.last_evaluated_key {
                Some(key) => from = Some(key),
                None => return Ok(()),
            }
        }
        Err(StoreError::exhausted(QUERIES_MAX))
    }
}

fn read(key: &LevelKey, attributes: Attributes) -> Result<Page, StoreError> {
    let name = item_name(&attributes);
    let wrong = |what: &'static str| corrupt(name.clone(), what);
    let item: PageItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    let (committed_at, first_version) = keys::parse_page(key, &item.sk).ok_or_else(|| wrong("not a page's key"))?;
    let entries = read_entries(&item.e, item.so.len()).map_err(wrong)?;
    let page = Page { first_version, entries, sources: read_sources(&item.so).map_err(wrong)? };
    if page.is_whole() && page.committed_at() == committed_at {
        Ok(page)
    } else {
        Err(wrong("the entries are not those of its key"))
    }
}
