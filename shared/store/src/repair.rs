//! What the nightly repair needs: all levels one after the other, and how far it has come.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use evenstock_app::{LevelScan, ListPosition, RepairPass, RepairStore, ScanPage, StoreError};
use evenstock_domain::{LevelKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::errors::{corrupt, store_error};
use crate::keys::{self, BY_ORGANIZATION, Key};
use crate::listing::{BATCH_KEYS_MAX, level_key, start_key};
use crate::revision::ABSENT;
use crate::table::{Attributes, DynamoStore, conditional, number, text, to_attributes};

/// No other run went on with the pass.
const UNMOVED: &str = "#at = :at AND af = :after AND f = :finished";

#[derive(Debug, Serialize, Deserialize)]
struct RepairItem {
    pk: String,
    sk: String,
    /// Started at, milliseconds.
    at: i64,
    /// Keys of the last level looked at, in lines; empty when there is none. No name holds the end of a line.
    af: String,
    /// Finished.
    f: bool,
}

impl LevelScan for DynamoStore {
    async fn scan_levels(&self, after: Option<&LevelKey>, limit: u32) -> Result<ScanPage, StoreError> {
        let mut start = after.map(|key| {
            let position = ListPosition { sku: key.sku.clone(), location: key.location.clone() };
            start_key(&key.organization, &position)
        });
        let (mut levels, mut unreadable) = (Vec::new(), Vec::new());
        loop {
            let scan = self.client.scan().table_name(&self.table).index_name(BY_ORGANIZATION);
            let scan = scan.limit(i32::try_from(limit).unwrap_or(i32::MAX)).set_exclusive_start_key(start);
            let page = scan.send().await.map_err(store_error)?;
            let mut keys = Vec::new();
            for item in page.items.unwrap_or_default().iter().filter(|item| !is_api_key(item)) {
                match level_key(item) {
                    Ok(key) => keys.push(key),
                    Err(error) => unreadable.push(error),
                }
            }
            for batch in keys.chunks(BATCH_KEYS_MAX) {
                for read in self.read_each(batch).await? {
                    match read {
                        Ok(level) => levels.push(level),
                        Err(error) => unreadable.push(error),
                    }
                }
            }
            match page.last_evaluated_key {
                // The next page can only begin behind a level.
                Some(last) if is_api_key(&last) => start = Some(last),
                last => {
                    levels.sort_by(|(one, _), (other, _)| one.cmp(other));
                    return Ok(ScanPage { levels, unreadable, next: last.as_ref().map(level_key).transpose()? });
                }
            }
        }
    }
}

/// API keys stand in the index beside the levels.
fn is_api_key(attributes: &Attributes) -> bool {
    let part = |name| attributes.get(name).and_then(|value| value.as_s().ok());
    part("pk").zip(part("sk")).is_some_and(|(pk, sk)| keys::parse_api_key(pk, sk).is_some())
}

impl RepairStore for DynamoStore {
    async fn repair_pass(&self) -> Result<Option<RepairPass>, StoreError> {
        let Some(attributes) = self.get(&keys::repair()).await? else {
            return Ok(None);
        };
        let wrong = |reason: String| corrupt(keys::repair().pk, reason);
        let item: RepairItem =
            serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| wrong(error.to_string()))?;
        let started_at = Timestamp::from_millis(item.at).map_err(|error| wrong(error.to_string()))?;
        let after = match item.af.split_once('\n') {
            Some((pk, sk)) => Some(keys::parse_level(pk, sk).ok_or_else(|| wrong("not a level's key".to_owned()))?),
            None => None,
        };
        Ok(Some(RepairPass { started_at, after, finished: item.f }))
    }

    async fn save_repair_pass(&self, expected: Option<&RepairPass>, pass: &RepairPass) -> Result<bool, StoreError> {
        let Key { pk, sk } = keys::repair();
        let item = RepairItem { pk, sk, at: pass.started_at.as_millis(), af: after_of(pass), f: pass.finished };
        let put = self.client.put_item().table_name(&self.table).set_item(Some(to_attributes(&item)?));
        let put = match expected {
            None => put.condition_expression(ABSENT),
            Some(expected) => put
                .condition_expression(UNMOVED)
                .expression_attribute_names("#at", "at")
                .expression_attribute_values(":at", number(expected.started_at.as_millis()))
                .expression_attribute_values(":after", text(after_of(expected)))
                .expression_attribute_values(
                    ":finished",
                    aws_sdk_dynamodb::types::AttributeValue::Bool(expected.finished),
                ),
        };
        conditional!(put.send().await, PutItemError::ConditionalCheckFailedException).map(|put| put.is_ok())
    }
}

fn after_of(pass: &RepairPass) -> String {
    let key = pass.after.as_ref().map(keys::level);
    key.map(|Key { pk, sk }| format!("{pk}\n{sk}")).unwrap_or_default()
}
