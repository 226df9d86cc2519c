//! `GET /store/inventory/{productId}`: from the node's copy, whether the centre is there or not.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Json, Response};
use evenstock_domain::Sku;
use serde::Deserialize;
use serde_json::json;

use super::error::ApiError;
use crate::level::Level;
use crate::node::Node;

#[derive(Debug, Deserialize)]
pub(super) struct ReadQuery {
    scope: Option<String>,
}

/// A product at this store, or its sums over all.
pub(super) async fn level(
    State(node): State<Arc<Node>>,
    Path(product): Path<String>,
    query: Result<Query<ReadQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let product = Sku::parse(&product).map_err(|issue| ApiError::bad_field("productId", &issue.to_string()))?;
    let Query(query) = query.map_err(|error| ApiError::bad_field("query", &error.body_text()))?;
    let store = match query.scope.as_deref() {
        None | Some("" | "store") => Some(node.store.as_str()),
        Some("all") => None,
        Some(_) => return Err(ApiError::bad_field("scope", "must be store or all")),
    };
    let progress = node.cache.progress().await?;
    if progress.offset.is_none() {
        return Err(ApiError::unavailable("this node has no copy of the stock yet", 2));
    }
    let levels = node.cache.levels(product.as_str(), store).await?;
    let newest = levels.iter().map(|level| level.updated_at).max();
    let updated_at = newest.ok_or_else(|| ApiError::not_found("there is no stock of this product"))?;
    // As at the centre: an oversold place shows 0 and does not take from another one's units.
    let total = |part: fn(&Level) -> i64| levels.iter().map(part).fold(0, i64::saturating_add);
    let body = json!({
        "productId": product.as_str(),
        "storeId": store,
        "available": total(|level| level.available.max(0)),
        "reserved": total(|level| level.reserved),
        "version": levels.iter().map(|level| level.version).fold(0, u64::saturating_add),
        "lastUpdated": updated_at.to_string(),
        "stale": node.status.view().stale,
    });
    let mut response = Json(body).into_response();
    if let Some(lag) = node.lag_ms(progress) {
        response.headers_mut().insert("x-replication-lag-ms", HeaderValue::from(lag));
    }
    Ok(response)
}
