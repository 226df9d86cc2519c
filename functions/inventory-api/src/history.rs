//! `GET /inventory/{productId}/history`: what changed a level, newest first.

use axum::response::Json;
use evenstock_app::{HistoryItem, HistoryPosition, StockStore, history};
use evenstock_domain::{LevelKey, LocationId, OrganizationId, Sku, Timestamp};
use evenstock_runtime::http::{ApiError, Caller, InvalidCursor, read_path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Inventory;
use crate::read::{Asked, asked, read_limit, unknown};

/// Keeps these cursors apart from those of other listings.
const LISTING: &str = "history";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HistoryQuery {
    store_id: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

/// A page of a history.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HistoryBody {
    items: Vec<ChangeBody>,
    /// Empty at the end.
    next_cursor: String,
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangeBody {
    version: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    delta: i64,
    new_quantity: i64,
    source: String,
    /// A code of the key that acted; `null` when none did.
    actor: Option<String>,
    event_id: String,
    at: String,
}

impl ChangeBody {
    fn new(item: &HistoryItem) -> Self {
        let HistoryItem { entry, source, version, available_after } = item;
        Self {
            version: *version,
            kind: entry.change_type().name(),
            delta: entry.available,
            new_quantity: *available_after,
            source: source.to_string(),
            actor: (entry.actor.0 != 0).then(|| format!("{:08x}", entry.actor.0)),
            event_id: format!("{:016x}", u64::from_be_bytes(entry.id.0)),
            at: entry.committed_at.to_string(),
        }
    }
}

/// Product, location, version, available units, time: all that a page goes on from.
type Position = (String, String, u64, i64, i64);

pub(crate) async fn show<S: StockStore, C>(
    inventory: &Inventory<S, C>,
    caller: &Caller,
    product: &str,
    query: Asked<HistoryQuery>,
) -> Result<Json<HistoryBody>, ApiError> {
    let sku = read_path("productId", product, Sku::parse)?;
    let query = asked(query)?;
    let limit = usize::try_from(read_limit(query.limit.as_deref())?).unwrap_or(usize::MAX);
    let named = query.store_id.map(|id| read_path("storeId", &id, LocationId::parse)).transpose()?;
    let cursor = query.cursor.filter(|cursor| !cursor.is_empty());
    let position = cursor.map(|cursor| open(inventory, &caller.organization, &sku, named.as_ref(), &cursor));
    let position = position.transpose().map_err(|error| ApiError::bad_field("cursor", error.to_string()))?;
    let (location, position) = match (position, named) {
        (Some((location, position)), _) => (location, Some(position)),
        (None, Some(location)) => (location, None),
        (None, None) => (only_location(inventory, &caller.organization, &sku).await?, None),
    };
    let key = LevelKey { organization: caller.organization.clone(), sku, location };
    let page = history(&*inventory.store, &key, position, limit).await?.ok_or_else(unknown)?;
    let next_cursor = page.next.map(|next| {
        let HistoryPosition { version, available, time } = next;
        let position: Position = (key.sku.to_string(), key.location.to_string(), version, available, time.as_millis());
        inventory.cursors.seal_position(&key.organization, LISTING, &position)
    });
    let items = page.items.iter().map(ChangeBody::new).collect();
    Ok(Json(HistoryBody { items, next_cursor: next_cursor.unwrap_or_default() }))
}

/// A cursor goes on in the history that it was made for, and in no other.
fn open<S, C>(
    inventory: &Inventory<S, C>,
    organization: &OrganizationId,
    sku: &Sku,
    named: Option<&LocationId>,
    cursor: &str,
) -> Result<(LocationId, HistoryPosition), InvalidCursor> {
    let (product, location, version, available, time): Position =
        inventory.cursors.open_position(organization, LISTING, cursor)?;
    let location = LocationId::parse(&location).map_err(|_| InvalidCursor)?;
    let time = Timestamp::from_millis(time).map_err(|_| InvalidCursor)?;
    if product != sku.as_str() || named.is_some_and(|named| *named != location) {
        return Err(InvalidCursor);
    }
    Ok((location, HistoryPosition { version, available, time }))
}

async fn only_location<S: StockStore, C>(
    inventory: &Inventory<S, C>,
    organization: &OrganizationId,
    sku: &Sku,
) -> Result<LocationId, ApiError> {
    let mut levels = inventory.store.levels_of(organization, sku).await?;
    let (location, _) = levels.pop().ok_or_else(unknown)?;
    if !levels.is_empty() {
        return Err(ApiError::bad_field("storeId", "is required, because the product has several locations"));
    }
    Ok(location)
}
