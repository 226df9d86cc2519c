//! `GET /stores/sync-status` and `GET /orders`.

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Json;
use evenstock_app::{MarketplaceStores, ReceiptStore, order_row, sync_report};
use evenstock_domain::{ReceiptId, ReceiptState};
use evenstock_runtime::http::{ApiError, Caller};
use serde::Deserialize;

use crate::wire::{OrdersBody, StatusBody};
use crate::{Shared, store_of, sync_token};

/// Rows of a page unless the caller asks for another number.
const LIMIT_DEFAULT: u32 = 50;

/// Rows of a page at most.
pub(crate) const LIMIT_MAX: u32 = 500;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrdersQuery {
    sync_token: Option<String>,
    status: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

type Asked = Result<Query<OrdersQuery>, QueryRejection>;

fn asked(query: Asked) -> Result<(OrdersQuery, String), ApiError> {
    let Query(query) = query.map_err(|rejection| ApiError::bad_field("query", rejection.body_text()))?;
    let token = query.sync_token.as_deref().ok_or("is required").and_then(sync_token);
    let token = token.map_err(|issue| ApiError::bad_field("syncToken", issue))?;
    Ok((query, token))
}

pub(crate) async fn status<S, M, K, C>(
    State(orders): Shared<S, M, K, C>,
    Extension(caller): Extension<Caller>,
    query: Asked,
) -> Result<Json<StatusBody>, ApiError>
where
    S: MarketplaceStores + ReceiptStore,
    M: Send + Sync,
    K: Send + Sync,
    C: Send + Sync,
{
    let (_, token) = asked(query)?;
    let of = store_of(&*orders.store, &caller, &token).await?;
    let report = sync_report(&*orders.store, &of.store.id).await?;
    Ok(Json(StatusBody::new(&report)))
}

pub(crate) async fn list<S, M, K, C>(
    State(orders): Shared<S, M, K, C>,
    Extension(caller): Extension<Caller>,
    query: Asked,
) -> Result<Json<OrdersBody>, ApiError>
where
    S: MarketplaceStores + ReceiptStore,
    M: Send + Sync,
    K: Send + Sync,
    C: Send + Sync,
{
    let (query, token) = asked(query)?;
    let state = query.status.as_deref().filter(|status| !status.is_empty());
    let state =
        state.map(|status| ReceiptState::parse(status).ok_or("must be pending, success, failed or rate_limited"));
    let state = state.transpose().map_err(|issue| ApiError::bad_field("status", issue))?;
    let limit = query.limit.as_deref().map_or(Some(LIMIT_DEFAULT), |text| text.parse().ok());
    let limit = limit.filter(|limit| (1..=LIMIT_MAX).contains(limit));
    let issue = || ApiError::bad_field("limit", format!("must be a whole number from 1 to {LIMIT_MAX}"));
    let limit = limit.ok_or_else(issue)?;
    let of = store_of(&*orders.store, &caller, &token).await?.store;
    let listing = format!("orders/{}", of.id);
    let after = query.cursor.as_deref().filter(|cursor| !cursor.is_empty());
    let after = after.map(|cursor| {
        let position: String = orders.cursors.open_position(&of.organization, &listing, cursor).ok()?;
        ReceiptId::parse(&position).ok()
    });
    let bad_cursor = || ApiError::bad_field("cursor", "is not a cursor of this listing");
    let after = after.map(|after| after.ok_or_else(bad_cursor)).transpose()?;
    let page = orders.store.list_receipts(&of.id, state, limit, after.as_ref()).await?;
    let seal = |next: &ReceiptId| orders.cursors.seal_position(&of.organization, &listing, &next.as_str());
    let next_cursor = page.next.as_ref().map(seal).unwrap_or_default();
    Ok(Json(OrdersBody { items: page.receipts.iter().map(order_row).collect(), next_cursor }))
}
