//! The centre's JSON, as far as the node reads it.

use std::collections::BTreeMap;

use evenstock_domain::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::level::Saying;

/// A level's name and what was said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) product: String,
    pub(crate) store: String,
    pub(crate) saying: Saying,
}

/// `GET /replication/snapshot`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SnapshotPage {
    state: BTreeMap<String, SnapshotProduct>,
    /// Following from here loses nothing.
    pub(crate) last_offset: u64,
    /// Empty at the end.
    #[serde(default)]
    pub(crate) next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotProduct {
    per_store: BTreeMap<String, SnapshotLevel>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotLevel {
    qty: i64,
    reserved: i64,
    version: u64,
    #[serde(deserialize_with = "time")]
    updated_at: Timestamp,
}

impl SnapshotPage {
    /// What the page says about each level.
    pub(crate) fn into_sayings(self) -> Vec<About> {
        let products = self.state.into_iter().flat_map(|(product, SnapshotProduct { per_store })| {
            per_store.into_iter().map(move |(store, level)| (product.clone(), store, level))
        });
        let about = |(product, store, level): (String, String, SnapshotLevel)| {
            let SnapshotLevel { qty, reserved, version, updated_at } = level;
            let saying = Saying { version, available: qty, reserved: Some(reserved), at: updated_at };
            About { product, store, saying }
        };
        products.map(about).collect()
    }
}

/// `GET /replication/changes`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangesPage {
    pub(crate) events: Vec<Event>,
    pub(crate) has_more: bool,
}

/// One change of the feed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    pub(crate) seq: u64,
    product_id: String,
    store_id: String,
    new_quantity: i64,
    new_reserved: i64,
    new_version: u64,
    #[serde(deserialize_with = "time")]
    ts: Timestamp,
}

impl Event {
    /// What the change says about its level.
    pub(crate) fn into_saying(self) -> About {
        let Self { product_id, store_id, new_quantity, new_reserved, new_version, ts, .. } = self;
        let saying = Saying { version: new_version, available: new_quantity, reserved: Some(new_reserved), at: ts };
        About { product: product_id, store: store_id, saying }
    }
}

/// The answer to an applied update.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Updated {
    product_id: String,
    new_quantity: i64,
    new_version: u64,
    #[serde(deserialize_with = "time")]
    last_updated: Timestamp,
}

impl Updated {
    /// What the answer says about the level at `store`.
    pub(crate) fn into_saying(self, store: &str) -> About {
        let Self { product_id, new_quantity, new_version, last_updated } = self;
        let saying = Saying { version: new_version, available: new_quantity, reserved: None, at: last_updated };
        About { product: product_id, store: store.to_owned(), saying }
    }
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    Timestamp::parse(&text).map_err(serde::de::Error::custom)
}
