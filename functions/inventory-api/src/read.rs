//! Reading levels. Every read sees every completed write, except that a listing may miss a level created a moment ago.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Json;
use evenstock_app::StockStore;
use evenstock_domain::{LevelKey, LocationId, Sku, StockLevel};
use evenstock_runtime::http::{ApiError, Caller, read_path};
use serde::Deserialize;

use crate::Inventory;
use crate::wire::{GlobalBody, ItemBody, ListBody, ProductBody};

/// Rows of a page unless the caller asks for another number.
const LIMIT_DEFAULT: u32 = 50;

/// Rows of a page at most.
pub(crate) const LIMIT_MAX: u32 = 500;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OneQuery {
    pub(crate) store_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListQuery {
    cursor: Option<String>,
    limit: Option<String>,
}

pub(crate) type Shared<S, C> = State<Arc<Inventory<S, C>>>;
pub(crate) type Asked<T> = Result<Query<T>, QueryRejection>;

/// A product's levels at one location or at all, as the query names them.
pub(crate) async fn levels<S: StockStore, C>(
    inventory: &Inventory<S, C>,
    caller: &Caller,
    sku: &Sku,
    store_id: Option<&str>,
) -> Result<Vec<(LocationId, StockLevel)>, ApiError> {
    let Some(location) = store_id.map(|id| read_path("storeId", id, LocationId::parse)).transpose()? else {
        return Ok(inventory.store.levels_of(&caller.organization, sku).await?);
    };
    let organization = caller.organization.clone();
    let key = LevelKey { organization, sku: sku.clone(), location: location.clone() };
    let stored = inventory.store.load(&key).await?;
    Ok(stored.map(|stored| (location, stored.level)).into_iter().collect())
}

/// `GET /inventory/{productId}`: at one location, or summed over all.
pub(crate) async fn one<S: StockStore, C>(
    inventory: &Inventory<S, C>,
    caller: &Caller,
    product: &str,
    query: Asked<OneQuery>,
) -> Result<Json<ProductBody>, ApiError> {
    let sku = read_path("productId", product, Sku::parse)?;
    let levels = levels(inventory, caller, &sku, asked(query)?.store_id.as_deref()).await?;
    ProductBody::sum(&sku, &levels).map(Json).ok_or_else(unknown)
}

/// `GET /inventory/global/{productId}`: at each location.
pub(crate) async fn everywhere<S: StockStore, C>(
    State(inventory): Shared<S, C>,
    Extension(caller): Extension<Caller>,
    Path(product): Path<String>,
) -> Result<Json<GlobalBody>, ApiError> {
    let sku = read_path("productId", &product, Sku::parse)?;
    let levels = inventory.store.levels_of(&caller.organization, &sku).await?;
    if levels.is_empty() {
        return Err(unknown());
    }
    Ok(Json(GlobalBody::new(&sku, &levels)))
}

/// `GET /inventory`: everything, page by page.
pub(crate) async fn list<S: StockStore, C>(
    State(inventory): Shared<S, C>,
    Extension(caller): Extension<Caller>,
    query: Asked<ListQuery>,
) -> Result<Json<ListBody>, ApiError> {
    let query = asked(query)?;
    let limit = read_limit(query.limit.as_deref())?;
    let organization = &caller.organization;
    let cursor = query.cursor.filter(|cursor| !cursor.is_empty());
    let after = cursor
        .map(|cursor| inventory.cursors.open(organization, &cursor))
        .transpose()
        .map_err(|error| ApiError::bad_field("cursor", error.to_string()))?;
    let page = inventory.store.list(organization, after.as_ref(), limit).await?;
    let items = page.levels.iter().map(|(key, level)| ItemBody::new(key, level)).collect();
    let next_cursor = page.next.map(|next| inventory.cursors.seal(organization, &next)).unwrap_or_default();
    Ok(Json(ListBody { items, next_cursor }))
}

/// How many rows a caller asks for.
pub(crate) fn read_limit(limit: Option<&str>) -> Result<u32, ApiError> {
    let Some(text) = limit else {
        return Ok(LIMIT_DEFAULT);
    };
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| ApiError::bad_field("limit", format!("must be a whole number from 1 to {LIMIT_MAX}")))
}

pub(crate) fn asked<T>(query: Asked<T>) -> Result<T, ApiError> {
    query.map(|Query(query)| query).map_err(|rejection| ApiError::bad_field("query", rejection.body_text()))
}

pub(crate) fn unknown() -> ApiError {
    ApiError::not_found("there is no stock of this product")
}
