//! What callers see of a level. Kept apart from the domain, whose types may change.

use std::collections::BTreeMap;

use evenstock_domain::{LevelKey, LocationId, Sku, StockLevel, Timestamp};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A product at one location, or its sums over all.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProductBody {
    product_id: String,
    available: i64,
    reserved: i64,
    oversold: i64,
    version: u64,
    last_updated: String,
    source: String,
}

impl ProductBody {
    /// Sums over the levels given; `None` when there are none. An oversold location does not take from another one's
    /// available units: nobody can sell them twice.
    pub(crate) fn sum(sku: &Sku, levels: &[(LocationId, StockLevel)]) -> Option<Self> {
        let (_, newest) = levels.iter().max_by_key(|(_, level)| level.updated_at)?;
        let total =
            |part: fn(&StockLevel) -> i64| levels.iter().map(|(_, level)| part(level)).fold(0, i64::saturating_add);
        Some(Self {
            product_id: sku.to_string(),
            available: total(StockLevel::sellable),
            reserved: total(|level| level.reserved),
            oversold: total(StockLevel::oversold),
            version: levels.iter().map(|(_, level)| level.version).fold(0, u64::saturating_add),
            last_updated: newest.updated_at.to_string(),
            source: source_of(newest),
        })
    }
}

/// Who made the newest change.
fn source_of(level: &StockLevel) -> String {
    let newest = level.recent.last().and_then(|entry| level.sources.get(usize::from(entry.source)));
    newest.or_else(|| level.sources.first()).map(ToString::to_string).unwrap_or_default()
}

/// A product's available units at each location.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GlobalBody {
    product_id: String,
    total_available: i64,
    per_store: BTreeMap<String, i64>,
}

impl GlobalBody {
    pub(crate) fn new(sku: &Sku, levels: &[(LocationId, StockLevel)]) -> Self {
        let per_store: BTreeMap<_, _> =
            levels.iter().map(|(location, level)| (location.to_string(), level.sellable())).collect();
        let total_available = per_store.values().copied().fold(0, i64::saturating_add);
        Self { product_id: sku.to_string(), total_available, per_store }
    }
}

/// A row of the listing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ItemBody {
    product_id: String,
    store_id: String,
    available: i64,
    reserved: i64,
    version: u64,
    last_updated: String,
}

impl ItemBody {
    pub(crate) fn new(key: &LevelKey, level: &StockLevel) -> Self {
        Self {
            product_id: key.sku.to_string(),
            store_id: key.location.to_string(),
            available: level.sellable(),
            reserved: level.reserved,
            version: level.version,
            last_updated: level.updated_at.to_string(),
        }
    }
}

/// A page of the listing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListBody {
    pub(crate) items: Vec<ItemBody>,
    /// Empty at the end.
    pub(crate) next_cursor: String,
}

/// An applied update.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdatedBody {
    product_id: String,
    store_id: String,
    new_quantity: i64,
    new_version: u64,
    applied: bool,
    last_updated: String,
}

/// What a list of updates came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchBody {
    /// In the order of the updates.
    pub(crate) results: Vec<BatchResult>,
    pub(crate) summary: BatchSummary,
}

/// What one update of a list came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum BatchResult {
    Applied(UpdatedBody),
    #[serde(rename_all = "camelCase")]
    Failed {
        /// As it was sent, whatever it was.
        product_id: Value,
        applied: bool,
        /// As an error's `code`.
        error_type: &'static str,
        error_message: String,
    },
}

/// How many updates came to what.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchSummary {
    pub(crate) total: usize,
    pub(crate) succeeded: usize,
    pub(crate) failed: usize,
}

/// One update's answer, or that of a list.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes two answers of one endpoint")]
pub(crate) enum UpdateAnswer {
    One(UpdatedBody),
    Many(BatchBody),
}

impl UpdatedBody {
    pub(crate) fn new(key: &LevelKey, available_after: i64, version: u64, at: Timestamp) -> Self {
        Self {
            product_id: key.sku.to_string(),
            store_id: key.location.to_string(),
            // As everywhere: what an oversold level lacks is not shown as a quantity.
            new_quantity: available_after.max(0),
            new_version: version,
            applied: true,
            last_updated: at.to_string(),
        }
    }
}
