//! A change as it is written down for others: in answers of the feed, in callbacks, on the bus.

use evenstock_domain::FeedEvent;
use serde::Serialize;
use utoipa::ToSchema;

/// One change of one level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = EventBody)]
#[serde(rename_all = "camelCase")]
pub struct FeedEventBody {
    /// Its number: ascending, without gaps.
    seq: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    product_id: String,
    store_id: String,
    /// The change of available units.
    delta: i64,
    /// Available units after it; below 0 when more was sold than was there.
    new_quantity: i64,
    new_reserved: i64,
    new_version: u64,
    source: String,
    event_id: String,
    /// When it was applied.
    ts: String,
}

impl From<&FeedEvent> for FeedEventBody {
    fn from(FeedEvent { seq, change }: &FeedEvent) -> Self {
        Self {
            seq: *seq,
            kind: change.kind.name(),
            product_id: change.sku.to_string(),
            store_id: change.location.to_string(),
            delta: change.delta,
            new_quantity: change.quantity,
            new_reserved: change.reserved,
            new_version: change.version,
            source: change.source.to_string(),
            event_id: hex::encode(change.event_id.0),
            ts: change.at.to_string(),
        }
    }
}
