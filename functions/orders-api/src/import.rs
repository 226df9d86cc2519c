//! `POST /orders/import` and `POST /orders/cancel`.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use evenstock_app::{
    BreakerStore, Clock, IdempotencyStore, Imported, MarketplaceStores, OrderMarketplace, ReceiptStore, Sealer,
    cancel_order, import_order, order_row,
};
use evenstock_domain::{ReceiptId, ReceiptState};
use evenstock_runtime::http::{ApiError, BoundRequest, Caller, Fields, JsonBody, answered, header_key};
use evenstock_runtime::metrics::{Counter, count};
use evenstock_runtime::new_id;
use serde_json::{Map, Value, json};

use crate::wire::ImportedBody;
use crate::{Shared, failure, store_of, sync_token};

fn read(object: &Map<String, Value>) -> Result<(String, ReceiptId), ApiError> {
    let mut fields = Fields::of(object);
    let token = fields.text("syncToken", sync_token);
    let receipt = fields.text("receipt", ReceiptId::parse);
    fields.finish((token, receipt))
}

pub(crate) async fn import<S, M, K, C>(
    State(orders): Shared<S, M, K, C>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody(object): JsonBody,
) -> Result<Response, ApiError>
where
    S: MarketplaceStores + ReceiptStore + BreakerStore + IdempotencyStore,
    M: OrderMarketplace,
    K: Sealer,
    C: Clock,
{
    let key = header_key(&headers)?;
    let (token, receipt) = read(&object)?;
    let store = &*orders.store;
    let of = store_of(store, &caller, &token).await?;
    let canonical = json!(["POST /orders/import", token, receipt.as_str()]);
    let bound = BoundRequest::bind(store, &orders.clock, &caller.organization, key, &canonical).await?;
    let call = new_id();
    match import_order(orders.deps(), &of, &receipt, &call).await.map_err(failure)? {
        Imported::Answered(receipt) => {
            // Of many who ask at once, and of those who ask again, the one who got the answer counts it.
            if receipt.was_completed_by(&call) {
                count(Counter::ImportedOrders, u64::from(receipt.state() == ReceiptState::Success));
                count(Counter::RateLimitedReceipts, u64::from(receipt.state() == ReceiptState::RateLimited));
            }
            let replayed = bound.known && receipt.order().is_some();
            Ok(answered(StatusCode::OK, ImportedBody::new(&receipt), replayed))
        }
        Imported::Busy => {
            Err(ApiError::unavailable(std::io::Error::other("another import still waits for the answer")))
        }
    }
}

pub(crate) async fn cancel<S, M, K, C>(
    State(orders): Shared<S, M, K, C>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody(object): JsonBody,
) -> Result<Response, ApiError>
where
    S: MarketplaceStores + ReceiptStore + IdempotencyStore,
    M: Send + Sync,
    K: Send + Sync,
    C: Clock,
{
    let key = header_key(&headers)?;
    let (token, receipt) = read(&object)?;
    let store = &*orders.store;
    let of = store_of(store, &caller, &token).await?;
    let canonical = json!(["POST /orders/cancel", token, receipt.as_str()]);
    let bound = BoundRequest::bind(store, &orders.clock, &caller.organization, key, &canonical).await?;
    let cancelled = cancel_order(store, &orders.clock, &of, &receipt).await?;
    Ok(answered(StatusCode::OK, order_row(&cancelled), bound.known))
}
