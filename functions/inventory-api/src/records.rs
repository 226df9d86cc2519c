//! Inventory by store and SKU (document 3 of the requirements): create, read with an entity tag, adjust.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use evenstock_app::{
    Answer, Clock, Create, CreateResult, IdempotencyStore, ReservationStore, Settled, StockStore, Update, UpdateDeps,
    create as create_level, update_as,
};
use evenstock_domain::{Delta, LevelKey, LocationId, OutOfRange, Quantity, Sku, Timestamp};
use evenstock_runtime::http::{
    ApiError, BoundRequest, Caller, CurrentLevel, Fields, JsonBody, answered, header_key, read_path,
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::Inventory;
use crate::conditions::{if_match, refusal};
use crate::read::{Shared, unknown};
use crate::reserve::reserve_one;

/// A level as it was created.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatedRecord {
    sku: String,
    store_id: String,
    qty: i64,
    version: u64,
    created_at: String,
    updated_at: String,
}

/// What a creation came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedBody {
    success: bool,
    data: CreatedRecord,
}

/// A level as it stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordBody {
    sku: String,
    store_id: String,
    qty: i64,
    reserved: i64,
    version: u64,
    updated_at: String,
}

/// A level after a change.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangedRecord {
    sku: String,
    store_id: String,
    qty: i64,
    version: u64,
    updated_at: String,
}

/// What an adjustment came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AdjustedBody {
    success: bool,
    new_quantity: i64,
    new_version: u64,
    record: ChangedRecord,
}

/// `POST /api/inventory`.
pub(crate) async fn create<S: StockStore + IdempotencyStore, C: Clock>(
    State(inventory): Shared<S, C>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody(object): JsonBody,
) -> Result<Response, ApiError> {
    let header = header_key(&headers)?;
    let mut fields = Fields::of(&object);
    let sku = fields.text("sku", Sku::parse);
    let location = fields.text("storeId", LocationId::parse);
    let quantity = fields.integer("initialQuantity", Quantity::new);
    let (sku, location, quantity) = fields.finish((sku, location, quantity))?;
    let canonical = json!(["POST /api/inventory", sku.as_str(), location.as_str(), quantity.get()]);
    let Inventory { store, clock, .. } = &*inventory;
    let operation = BoundRequest::bind(&**store, clock, &caller.organization, header, &canonical).await?;
    let key = LevelKey { organization: caller.organization.clone(), sku, location };
    let actor = caller.key.actor();
    let asked = Create { key, quantity, actor, operation: operation.name, time: operation.time };
    match create_level(&*inventory.store, &inventory.clock, &inventory.ids, &asked).await? {
        CreateResult::Exists(level) => {
            let current = CurrentLevel { available: level.sellable(), version: level.version };
            Err(ApiError::conflict("the record exists", Some(current)))
        }
        CreateResult::Created { first, repeated } => {
            let at = first.entry.committed_at.to_string();
            let data = CreatedRecord {
                sku: asked.key.sku.to_string(),
                store_id: asked.key.location.to_string(),
                qty: first.available_after,
                version: first.version,
                created_at: at.clone(),
                updated_at: at,
            };
            let body = CreatedBody { success: true, data };
            Ok(tagged(answered(StatusCode::CREATED, body, operation.known && repeated), first.version))
        }
    }
}

/// `GET /api/inventory/stores/{storeId}/inventory/{sku}`.
pub(crate) async fn read<S: StockStore, C>(
    State(inventory): Shared<S, C>,
    Extension(caller): Extension<Caller>,
    Path((store, sku)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = level_key(&caller, &store, &sku)?;
    let level = inventory.store.load(&key).await?.ok_or_else(unknown)?.level;
    if headers.get_all(IF_NONE_MATCH).iter().any(|tags| names(tags, level.version)) {
        return Ok(tagged(StatusCode::NOT_MODIFIED.into_response(), level.version));
    }
    let body = RecordBody {
        sku: key.sku.to_string(),
        store_id: key.location.to_string(),
        qty: level.sellable(),
        reserved: level.reserved,
        version: level.version,
        updated_at: level.updated_at.to_string(),
    };
    Ok(tagged(answered(StatusCode::OK, body, false), level.version))
}

/// `POST /api/inventory/stores/{storeId}/inventory/{sku}/adjust` and `…/reserve`. As elsewhere, the SKU may come with its
/// slashes.
pub(crate) async fn act<S: StockStore + IdempotencyStore + ReservationStore, C: Clock>(
    State(inventory): Shared<S, C>,
    Extension(caller): Extension<Caller>,
    Path((store, rest)): Path<(String, String)>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    if let Some(sku) = rest.strip_suffix("/adjust") {
        return adjust(&inventory, &caller, level_key(&caller, &store, sku)?, &headers, &body).await;
    }
    match rest.strip_suffix("/reserve") {
        Some(sku) => reserve_one(&inventory, &caller, (&store, sku), &headers, &body).await,
        None => Err(ApiError::not_found("there is no such path")),
    }
}

async fn adjust<S: StockStore + IdempotencyStore, C: Clock>(
    inventory: &Inventory<S, C>,
    caller: &Caller,
    key: LevelKey,
    headers: &HeaderMap,
    JsonBody(object): &JsonBody,
) -> Result<Response, ApiError> {
    let header = header_key(headers)?;
    let mut fields = Fields::of(object);
    let delta = fields.integer("delta", Delta::new);
    let expected = fields.optional("expectedVersion", |fields, name| {
        fields.integer(name, |version| u64::try_from(version).map_err(|_| OutOfRange::Negative))
    });
    let (delta, expected) = fields.finish((delta, expected))?;
    let version = match if_match(headers)? {
        None => expected,
        Some(version) => version,
    };
    // The one case in which a request makes a level; here that is what creation is for.
    let would_create = delta.get() > 0 && version.unwrap_or_default() == 0;
    if would_create && inventory.store.load(&key).await?.is_none() {
        return Err(unknown());
    }
    let path = format!("POST /api/inventory/stores/{}/inventory/{}/adjust", key.location, key.sku);
    let canonical = json!([path, delta.get(), version]);
    let Inventory { store, clock, .. } = inventory;
    let operation = BoundRequest::bind(&**store, clock, &caller.organization, header, &canonical).await?;
    let deps = UpdateDeps { store: &*inventory.store, clock: &inventory.clock, ids: &inventory.ids };
    let actor = caller.key.actor();
    // The key, if there is one, is bound already: what is left is to apply the operation under its name.
    let (idempotency_key, request_hash) = Default::default();
    let update = Update { key, delta, version, idempotency_key, request_hash, actor };
    let settled = update_as(deps, &update, &operation.name, operation.time).await?;
    adjusted(&update.key, &settled, operation.known)
}

fn adjusted(key: &LevelKey, settled: &Settled, known: bool) -> Result<Response, ApiError> {
    let Answer::Applied(placed) = &settled.answer else {
        let absent = settled.level.version == 0;
        return Err(if absent { unknown() } else { refusal(&settled.answer, &settled.level) });
    };
    let record = changed(key, placed.available_after, placed.version, placed.entry.committed_at);
    let (new_quantity, new_version) = (placed.available_after, placed.version);
    let body = AdjustedBody { success: true, new_quantity, new_version, record };
    Ok(tagged(answered(StatusCode::OK, body, known && settled.repeated), placed.version))
}

pub(crate) fn changed(key: &LevelKey, available: i64, version: u64, at: Timestamp) -> ChangedRecord {
    ChangedRecord {
        sku: key.sku.to_string(),
        store_id: key.location.to_string(),
        qty: available.max(0),
        version,
        updated_at: at.to_string(),
    }
}

fn level_key(caller: &Caller, store: &str, sku: &str) -> Result<LevelKey, ApiError> {
    let location = read_path("storeId", store, LocationId::parse)?;
    let sku = read_path("sku", sku, Sku::parse)?;
    Ok(LevelKey { organization: caller.organization.clone(), sku, location })
}

pub(crate) fn tagged(mut response: Response, version: u64) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// Whether a list of entity tags names this version.
fn names(tags: &HeaderValue, version: u64) -> bool {
    let tag = |text: &str| text.trim().trim_start_matches("W/").trim_matches('"').parse() == Ok(version);
    tags.to_str().is_ok_and(|tags| tags.trim() == "*" || tags.split(',').any(tag))
}
