//! `GET /replication/snapshot`: all levels, page by page, and the offset from which the changes complete them.
//!
//! The offset is taken before the first level is read, and a minute back, so nothing is lost between the two; what comes
//! twice is harmless, because each location carries its version.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use evenstock_app::{Clock, FeedStore, ListPosition, StockStore, snapshot_offset};
use evenstock_domain::{LocationId, Sku, StockLevel, Timestamp};
use evenstock_runtime::http::{ApiError, Caller, InvalidCursor};
use evenstock_runtime::metrics::{Counter, count};
use serde::{Deserialize, Serialize};
use tracing::instrument;
use utoipa::ToSchema;

use crate::Replication;

/// Levels of a page, but for the last SKU's: with the longest names under 2 MB, where Lambda takes 6.
const LEVELS: u32 = 2000;

/// The listing that cursors belong to.
const LISTING: &str = "snapshot";

#[derive(Debug, Deserialize)]
pub(crate) struct SnapshotQuery {
    cursor: Option<String>,
}

/// A page of a copy of all levels.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SnapshotBody {
    /// By product. A product is never split over pages.
    state: BTreeMap<String, ProductState>,
    /// The changes above this number complete the copy.
    last_offset: u64,
    /// Empty at the end.
    next_cursor: String,
}

/// A product over all its locations.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProductState {
    /// The sum over the locations.
    qty: i64,
    /// The sum over the locations.
    version: u64,
    /// The newest of the locations.
    updated_at: String,
    per_store: BTreeMap<String, LocationState>,
}

/// A product at one location.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LocationState {
    /// Available units; below 0 when more was sold than was there.
    qty: i64,
    reserved: i64,
    version: u64,
    updated_at: String,
}

/// Offset of the copy; product and location of the last level listed, whose product was told whole.
type Position = (u64, String, String);

#[instrument(name = "PersistSnapshot", skip_all, fields(organization.id = %caller.organization))]
pub(crate) async fn show<S, C>(
    State(replication): State<Arc<Replication<S, C>>>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<SnapshotQuery>, QueryRejection>,
) -> Result<Response, ApiError>
where
    S: StockStore + FeedStore,
    C: Clock,
{
    let Query(query) = query.map_err(|rejection| ApiError::bad_field("query", rejection.body_text()))?;
    let Replication { store, clock, cursors, .. } = &*replication;
    let organization = &caller.organization;
    let cursor = query.cursor.filter(|cursor| !cursor.is_empty());
    let wrong = |error: InvalidCursor| ApiError::bad_field("cursor", error.to_string());
    let (last_offset, after) = match cursor {
        None => (snapshot_offset(&**store, organization, clock.now()).await?, None),
        Some(cursor) => {
            let (offset, sku, location): Position =
                cursors.open_position(organization, LISTING, &cursor).map_err(wrong)?;
            let sku = Sku::parse(&sku).map_err(|_| wrong(InvalidCursor))?;
            let location = LocationId::parse(&location).map_err(|_| wrong(InvalidCursor))?;
            (offset, Some(ListPosition { sku, location }))
        }
    };
    let page = store.list(organization, after.as_ref(), LEVELS).await?;
    let mut products: BTreeMap<Sku, Vec<(LocationId, StockLevel)>> = BTreeMap::new();
    for (key, level) in page.levels {
        products.entry(key.sku).or_default().push((key.location, level));
    }
    if let Some(after) = after {
        products.remove(&after.sku);
    }
    if let Some(next) = &page.next
        && let Some(levels) = products.get_mut(&next.sku)
    {
        // Some of its levels may lie behind the page.
        *levels = store.levels_of(organization, &next.sku).await?;
    }
    let next_cursor = page.next.map(|next| {
        let position: Position = (last_offset, next.sku.to_string(), next.location.to_string());
        cursors.seal_position(organization, LISTING, &position)
    });
    let state = products.iter().map(|(sku, levels)| (sku.to_string(), ProductState::new(levels))).collect();
    let body = SnapshotBody { state, last_offset, next_cursor: next_cursor.unwrap_or_default() };
    let body = serde_json::to_vec(&body).map_err(ApiError::internal)?;
    count(Counter::SnapshotWriteBytes, body.len() as u64);
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

impl ProductState {
    fn new(levels: &[(LocationId, StockLevel)]) -> Self {
        let newest = levels.iter().map(|(_, level)| level.updated_at).max().unwrap_or(Timestamp::EPOCH);
        let per_store = levels.iter().map(|(location, level)| (location.to_string(), LocationState::new(level)));
        Self {
            qty: levels.iter().fold(0, |sum: i64, (_, level)| sum.saturating_add(level.available)),
            version: levels.iter().fold(0, |sum: u64, (_, level)| sum.saturating_add(level.version)),
            updated_at: newest.to_string(),
            per_store: per_store.collect(),
        }
    }
}

impl LocationState {
    fn new(level: &StockLevel) -> Self {
        Self {
            qty: level.available,
            reserved: level.reserved,
            version: level.version,
            updated_at: level.updated_at.to_string(),
        }
    }
}
