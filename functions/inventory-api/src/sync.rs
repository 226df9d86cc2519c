//! `POST /inventory/sync`: a location's books, merged into ours or put in their place.

use std::collections::BTreeSet;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use evenstock_app::{
    BulkMode, BulkOutcome, BulkProduct, BulkRequest, BulkSyncStore, Clock, IdempotencyStore, StockStore, UpdateDeps,
    bulk_sync,
};
use evenstock_domain::{LocationId, OutOfRange, Quantity, Sku};
use evenstock_runtime::http::{ApiError, BoundRequest, Caller, Fields, JsonBody, answered, header_key, read_key};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::Inventory;
use crate::read::Shared;

/// Products of one request.
const PRODUCTS_MAX: usize = 1000;

/// What a sync came to.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SyncBody {
    updated: u64,
    created: u64,
    skipped: u64,
}

/// What a request asks for.
struct Asked {
    location: LocationId,
    mode: BulkMode,
    products: Vec<BulkProduct>,
}

pub(crate) async fn sync<S, C>(
    State(inventory): Shared<S, C>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody(object): JsonBody,
) -> Result<Response, ApiError>
where
    S: StockStore + IdempotencyStore + BulkSyncStore,
    C: Clock,
{
    let header = header_key(&headers)?;
    let asked = read(&object)?;
    let Inventory { store, clock, .. } = &*inventory;
    let operation = BoundRequest::bind(&**store, clock, &caller.organization, header, &asked.canonical()).await?;
    if let Some(body) = operation.answer::<SyncBody>()? {
        return Ok(answered(StatusCode::OK, body, true));
    }
    let Asked { location, mode, products } = asked;
    let request = BulkRequest {
        organization: caller.organization.clone(),
        location,
        mode,
        products,
        actor: caller.key.actor(),
        operation: operation.name.clone(),
        time: operation.time,
    };
    let deps = UpdateDeps { store: &*inventory.store, clock: &inventory.clock, ids: &inventory.ids };
    let counters = match bulk_sync(&deps, &request).await? {
        BulkOutcome::Done(counters) => counters,
        BulkOutcome::OtherLocation => {
            return Err(ApiError::unprocessable("the syncId stands for a sync of another store", None));
        }
        BulkOutcome::TooManyParts => return Err(ApiError::unprocessable("the sync has too many parts", None)),
    };
    let body = SyncBody { updated: counters.updated, created: counters.created, skipped: counters.skipped };
    let body = operation.keep(&**store, clock, body).await?;
    Ok(answered(StatusCode::OK, body, false))
}

fn read(object: &Map<String, Value>) -> Result<Asked, ApiError> {
    let mut fields = Fields::of(object);
    let location = fields.text("storeId", LocationId::parse);
    let replace = fields.text("mode", |mode| match mode {
        "merge" => Ok(false),
        "replace" => Ok(true),
        _ => Err("must be merge or replace"),
    });
    let sync_id = fields.optional("syncId", |fields, name| fields.text(name, read_key));
    let last = fields.optional("final", Fields::flag);
    let mut seen = BTreeSet::new();
    let products = fields.rows("products", PRODUCTS_MAX, |row| {
        let sku = row.text("id", Sku::parse);
        let quantity = row.integer("qty", Quantity::new);
        let version = row.integer("version", |version| u64::try_from(version).map_err(|_| OutOfRange::Negative));
        if sku.as_ref().is_some_and(|sku| !seen.insert(sku.clone())) {
            return row.refuse("id", "is named twice");
        }
        Some(BulkProduct { sku: sku?, quantity: quantity?, version: version? })
    });
    let mode = match (replace, sync_id, last) {
        (Some(true), Some(Some(sync)), Some(last)) => Some(BulkMode::Part { sync, last: last.unwrap_or(false) }),
        (Some(true), Some(None), Some(Some(false))) => fields.refuse("syncId", "is required when parts are to follow"),
        (Some(true), Some(None), Some(_)) => Some(BulkMode::Replace),
        (Some(false), Some(_), Some(_)) => Some(BulkMode::Merge),
        _ => None,
    };
    let (location, mode, products) = fields.finish((location, mode, products))?;
    Ok(Asked { location, mode, products })
}

impl Asked {
    /// What an idempotency key is bound to.
    fn canonical(&self) -> Value {
        let mode = match &self.mode {
            BulkMode::Merge => json!(["merge"]),
            BulkMode::Replace => json!(["replace"]),
            BulkMode::Part { sync, last } => json!(["replace", sync, last]),
        };
        let row = |product: &BulkProduct| json!([product.sku.as_str(), product.quantity.get(), product.version]);
        let products: Vec<_> = self.products.iter().map(row).collect();
        json!(["POST /inventory/sync", self.location.as_str(), mode, products])
    }
}
