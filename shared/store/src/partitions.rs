//! How far the partitions of Kafka's topics have been read, one item each.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use evenstock_app::{PartitionRead, PartitionStore, StoreError};
use evenstock_domain::{InvalidTime, Timestamp};
use serde::{Deserialize, Serialize};

use crate::errors::{corrupt, store_error};
use crate::keys::{self, PARTITIONS};
use crate::level_item::item_name;
use crate::table::{Attributes, DynamoStore, conditional, number, text, to_attributes};

/// No later batch was noted.
const NOT_LATER: &str = "attribute_not_exists(pk) OR sn <= :seen";

/// How long a partition that nothing comes from is kept, in seconds: topics go, and nobody says so.
const KEPT_S: i64 = 30 * 24 * 60 * 60;

#[derive(Debug, Serialize, Deserialize)]
struct PartitionItem {
    pk: String,
    sk: String,
    /// Topic.
    tp: String,
    /// Partition.
    pn: i64,
    /// Offset.
    of: i64,
    /// Whether it is settled.
    st: bool,
    /// Written, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wr: Option<i64>,
    /// Seen, milliseconds.
    sn: i64,
    /// May be deleted from then on, seconds.
    x: i64,
}

impl PartitionStore for DynamoStore {
    async fn note_partition(&self, read: &PartitionRead) -> Result<(), StoreError> {
        let key = keys::partition(&read.topic, read.partition);
        let seen_ms = read.seen_at.as_millis();
        let item = PartitionItem {
            pk: key.pk,
            sk: key.sk,
            tp: read.topic.clone(),
            pn: read.partition,
            of: read.offset,
            st: read.settled,
            wr: read.written_at.map(Timestamp::as_millis),
            sn: seen_ms,
            x: (seen_ms / 1000).saturating_add(KEPT_S),
        };
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(&item)?))
            .condition_expression(NOT_LATER)
            .expression_attribute_values(":seen", number(seen_ms));
        // A later one stands there already.
        conditional!(put.send().await, PutItemError::ConditionalCheckFailedException).map(drop)
    }

    /// All of them in one page: thousands of partitions fit.
    async fn partitions(&self) -> Result<Vec<PartitionRead>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(PARTITIONS))
            .consistent_read(true);
        let items = query.send().await.map_err(store_error)?.items.unwrap_or_default();
        items.into_iter().map(read).collect()
    }
}

fn read(attributes: Attributes) -> Result<PartitionRead, StoreError> {
    let name = item_name(&attributes);
    let item: PartitionItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    let times = || {
        let written_at = item.wr.map(Timestamp::from_millis).transpose()?;
        Ok::<_, InvalidTime>((written_at, Timestamp::from_millis(item.sn)?))
    };
    let (written_at, seen_at) = times().map_err(|error| corrupt(name, error))?;
    let PartitionItem { tp: topic, pn: partition, of: offset, st: settled, .. } = item;
    Ok(PartitionRead { topic, partition, offset, settled, written_at, seen_at })
}
