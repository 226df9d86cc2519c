//! `POST /inventory/updates`: one update, or up to a hundred, each on its own and each exactly once.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use evenstock_app::{
    Answer, Clock, IdempotencyStore, StockStore, Update, UpdateDeps, UpdateResult, update as apply_update,
};
use evenstock_domain::{Delta, LevelKey, LocationId, OutOfRange, Sku};
use evenstock_runtime::http::{
    ApiError, Caller, Fields, JsonBody, answered, header_key, key_reused, read_key, request_hash,
};
use futures::StreamExt;
use serde_json::{Map, Value, json};

use crate::Inventory;
use crate::conditions::refusal;
use crate::wire::{BatchBody, BatchResult, BatchSummary, UpdatedBody};

/// Updates of one request.
const UPDATES_MAX: usize = 100;

/// Products of one request that are worked on at once.
const AT_ONCE: usize = 16;

/// Handles one update or a list of them.
pub(crate) async fn update<S: StockStore + IdempotencyStore, C: Clock>(
    State(inventory): State<Arc<Inventory<S, C>>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let header = header_key(&headers)?;
    if body.0.contains_key("updates") {
        return batch(&inventory, &caller, header, &body.0).await;
    }
    let mut fields = Fields::of(&body.0);
    let location = fields.text("storeId", LocationId::parse);
    let read = read_update(&mut fields, header);
    let (location, read) = fields.finish((location, read))?;
    let asked = read.into_update(&caller, location);
    let (updated, replayed) = apply(&inventory, &asked).await?;
    Ok(answered(StatusCode::OK, updated, replayed))
}

async fn batch<S: StockStore + IdempotencyStore, C: Clock>(
    inventory: &Inventory<S, C>,
    caller: &Caller,
    header: Option<String>,
    body: &Map<String, Value>,
) -> Result<Response, ApiError> {
    let mut fields = Fields::of(body);
    let location = fields.text("storeId", LocationId::parse);
    let updates = fields.list("updates").filter(|updates| {
        let fits = (1..=UPDATES_MAX).contains(&updates.len());
        fits || fields.refuse::<()>("updates", format_args!("must hold 1 to {UPDATES_MAX} updates")).is_some()
    });
    if header.is_some() {
        fields.refuse::<()>("Idempotency-Key", "names one update; give each of the list its own idempotencyKey");
    }
    let (location, updates) = fields.finish((location, updates))?;

    // Updates of one product keep their order; products do not wait for each other.
    let mut products: BTreeMap<&str, Vec<(usize, &Value)>> = BTreeMap::new();
    for (place, update) in updates.iter().enumerate() {
        let product = update.get("productId").and_then(Value::as_str).unwrap_or_default();
        products.entry(product).or_default().push((place, update));
    }
    let mut work = Vec::with_capacity(products.len());
    for updates in products.into_values() {
        work.push(one_product(inventory, caller, &location, updates));
    }
    let done: Vec<_> = futures::stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
    let mut results: Vec<_> = done.into_iter().flatten().collect();
    results.sort_by_key(|(place, _)| *place);
    let results: Vec<_> = results.into_iter().map(|(_, result)| result).collect();
    let succeeded = results.iter().filter(|result| matches!(result, BatchResult::Applied(_))).count();
    let summary = BatchSummary { total: results.len(), succeeded, failed: results.len() - succeeded };
    Ok(Json(BatchBody { results, summary }).into_response())
}

async fn one_product<S: StockStore + IdempotencyStore, C: Clock>(
    inventory: &Inventory<S, C>,
    caller: &Caller,
    location: &LocationId,
    updates: Vec<(usize, &Value)>,
) -> Vec<(usize, BatchResult)> {
    let mut results = Vec::with_capacity(updates.len());
    for (place, update) in updates {
        results.push((place, one_of_batch(inventory, caller, location, update).await));
    }
    results
}

async fn one_of_batch<S: StockStore + IdempotencyStore, C: Clock>(
    inventory: &Inventory<S, C>,
    caller: &Caller,
    location: &LocationId,
    update: &Value,
) -> BatchResult {
    let failed = |error: &ApiError| BatchResult::Failed {
        product_id: update.get("productId").cloned().unwrap_or_default(),
        applied: false,
        error_type: error.code(),
        error_message: error.message().to_owned(),
    };
    let Some(object) = update.as_object() else {
        return failed(&ApiError::bad_field("update", "must be a JSON object"));
    };
    let mut fields = Fields::of(object);
    let read = read_update(&mut fields, None);
    let asked = match fields.finish((read, Some(()))) {
        Ok((read, ())) => read.into_update(caller, location.clone()),
        Err(error) => return failed(&error),
    };
    match apply(inventory, &asked).await {
        Ok((updated, _)) => BatchResult::Applied(updated),
        Err(error) => {
            error.log("one update of a list failed");
            failed(&error)
        }
    }
}

/// The fields of one update, apart from its location.
struct ReadUpdate {
    sku: Sku,
    delta: Delta,
    version: Option<u64>,
    idempotency_key: String,
}

fn read_update(fields: &mut Fields<'_>, header: Option<String>) -> Option<ReadUpdate> {
    let sku = fields.text("productId", Sku::parse);
    let delta = fields.integer("delta", Delta::new);
    let version = fields.integer_or_null("version", |version| u64::try_from(version).map_err(|_| OutOfRange::Negative));
    let idempotency_key = match header {
        Some(header) if !fields.has("idempotencyKey") => Some(header),
        header => fields.text("idempotencyKey", |key| match header {
            Some(header) if header != key => Err("differs from the Idempotency-Key header"),
            _ => read_key(key),
        }),
    };
    Some(ReadUpdate { sku: sku?, delta: delta?, version: version?, idempotency_key: idempotency_key? })
}

impl ReadUpdate {
    /// The key is bound to what is asked for, not to how it was written down.
    fn into_update(self, caller: &Caller, location: LocationId) -> Update {
        let Self { sku, delta, version, idempotency_key } = self;
        let canonical = json!(["POST /inventory/updates", sku.as_str(), location.as_str(), delta.get(), version]);
        Update {
            key: LevelKey { organization: caller.organization.clone(), sku, location },
            delta,
            version,
            idempotency_key,
            request_hash: request_hash(&canonical),
            actor: caller.key.actor(),
        }
    }
}

async fn apply<S: StockStore + IdempotencyStore, C: Clock>(
    inventory: &Inventory<S, C>,
    asked: &Update,
) -> Result<(UpdatedBody, bool), ApiError> {
    let deps = UpdateDeps { store: &*inventory.store, clock: &inventory.clock, ids: &inventory.ids };
    match apply_update(deps, asked).await? {
        UpdateResult::KeyReused => Err(key_reused()),
        UpdateResult::Settled { settled, replayed } => match settled.answer {
            Answer::Applied(placed) => {
                let at = placed.entry.committed_at;
                Ok((UpdatedBody::new(&asked.key, placed.available_after, placed.version, at), replayed))
            }
            refused => Err(refusal(&refused, &settled.level)),
        },
    }
}
