//! Warehouses for admins: setting them up, forcing a reconciliation, seeing and settling conflicts.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use evenstock_app::{
    AdminAction, AuditLog, Clock, Conflict, ConflictChoice, ConflictStore, CountDeps, IdempotencyStore, JobStore,
    KeyChange, Queue, Resolve, ResolveResult, Scope, Sealer, StockStore, TriggerDeps, TriggerError, Warehouse,
    WarehouseSettings, WarehouseStore, resolve_conflict, trigger_one,
};
use evenstock_channels::{ApiSecret, Target};
use evenstock_domain::{ConflictPolicy, EventIdKey, Guard, Job, JobKind, LocationId, Quantity, Timestamp};
use evenstock_runtime::http::{
    AccessControl, ApiError, BoundRequest, Caller, CursorKey, Fields, JsonBody, answered, header_key, read_path,
    require,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::trigger::job_id;
use crate::warehouse_wire::{WarehouseBody, WarehouseJobBody, WarehouseListBody};

/// The largest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Rows of a page.
const PAGE: u32 = 50;

/// What the handlers share.
#[derive(Debug)]
pub struct Warehouses<S, Q, L, C> {
    /// Warehouses, conflicts, jobs and levels.
    pub store: Arc<S>,
    /// Where reconciliations go.
    pub queue: Q,
    /// Seals the warehouses' keys.
    pub sealer: L,
    /// Time.
    pub clock: C,
    /// Names events.
    pub ids: EventIdKey,
    /// Seals cursors.
    pub cursors: CursorKey,
    /// Which addresses a warehouse may have.
    pub guard: Guard,
    /// The endpoint of warehouses that name none.
    pub default_endpoint: Option<String>,
}

type Shared<S, Q, L, C> = State<Arc<Warehouses<S, Q, L, C>>>;

/// The routes of warehouses, without the shell around them.
pub fn warehouse_routes<S, Q, L, C>(warehouses: Arc<Warehouses<S, Q, L, C>>, access: &AccessControl) -> Router
where
    S: StockStore + WarehouseStore + ConflictStore + JobStore + IdempotencyStore + AuditLog + 'static,
    Q: Queue + 'static,
    L: Sealer + 'static,
    C: Clock + 'static,
{
    let routes = Router::new()
        .route("/warehouses", get(list::<S, Q, L, C>))
        .route("/warehouses/{warehouseId}", put(set_up::<S, Q, L, C>))
        .route("/sync/warehouses/{warehouseId}", post(reconcile::<S, Q, L, C>))
        .route("/sync/conflicts", get(conflicts::<S, Q, L, C>))
        .route("/sync/conflicts/{id}/resolve", post(resolve::<S, Q, L, C>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(warehouses);
    require(routes, access, Scope::Admin)
}

/// `PUT /warehouses/{warehouseId}`. A key that is not named stays; `null` removes it.
async fn set_up<S, Q, L, C>(
    State(warehouses): Shared<S, Q, L, C>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    JsonBody(object): JsonBody,
) -> Result<Json<WarehouseBody>, ApiError>
where
    S: WarehouseStore + AuditLog,
    Q: Queue,
    L: Sealer,
    C: Clock,
{
    let id = read_path("warehouseId", &id, LocationId::parse)?;
    let guard = warehouses.guard;
    let read_endpoint = |text: &str| match Target::parse(text, guard) {
        Ok(_) if text.contains('?') => Err("must not contain a query".to_owned()),
        Ok(_) => Ok(text.to_owned()),
        Err(issue) => Err(issue.to_string()),
    };
    let read_policy = |text: &str| ConflictPolicy::parse(text).ok_or("must be warehouse_wins, central_wins or manual");
    let mut fields = Fields::of(&object);
    let endpoint = match (&warehouses.default_endpoint, fields.names("endpoint")) {
        (Some(default), false) => Some(default.clone()),
        _ => fields.text("endpoint", read_endpoint),
    };
    let names_key = fields.names("apiKey");
    let key = fields
        .optional("apiKey", |fields, name| fields.text(name, |text| ApiSecret::new(text).map(|_| text.to_owned())));
    let policy = fields.text("conflictPolicy", read_policy);
    let (endpoint, key, policy) = fields.finish((endpoint, key, policy))?;
    let elsewhere = || ApiError::conflict("the warehouse belongs to another organization", None);
    let known = warehouses.store.load_warehouse(&id).await?;
    if known.is_some_and(|known| known.organization != caller.organization) {
        return Err(elsewhere());
    }
    let what_of_key = match (&key, names_key) {
        (Some(_), _) => "a new key",
        (None, true) => "no key",
        (None, false) => "the key as it was",
    };
    let about = format!("{endpoint}, {}, {what_of_key}", policy.as_str());
    let at = warehouses.clock.now();
    let (asks, action) = (caller.asks_once(at), AdminAction::WarehouseSet);
    asks.write_down(&*warehouses.store, &caller.organization, action, id.as_str(), about).await?;
    let api_key = match key {
        None if names_key => KeyChange::Remove,
        None => KeyChange::Keep,
        Some(key) => {
            let context = Warehouse::key_context(&caller.organization, &id);
            KeyChange::Set(warehouses.sealer.seal(&context, &key).await?)
        }
    };
    let organization = caller.organization;
    let settings = WarehouseSettings { id, organization, endpoint, api_key, policy, at };
    match warehouses.store.set_up_warehouse(&settings).await? {
        Some(warehouse) => Ok(Json(WarehouseBody::new(&warehouse))),
        None => Err(elsewhere()),
    }
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    cursor: Option<String>,
    status: Option<String>,
}

type Asked = Result<Query<ListQuery>, QueryRejection>;

fn asked(query: Asked) -> Result<ListQuery, ApiError> {
    query.map(|Query(query)| query).map_err(|rejection| ApiError::bad_field("query", rejection.body_text()))
}

impl<S, Q, L, C> Warehouses<S, Q, L, C> {
    fn open<T: serde::de::DeserializeOwned>(
        &self,
        caller: &Caller,
        listing: &str,
        query: &ListQuery,
    ) -> Result<Option<T>, ApiError> {
        let cursor = query.cursor.as_deref().filter(|cursor| !cursor.is_empty());
        let opened = cursor.map(|cursor| self.cursors.open_position(&caller.organization, listing, cursor));
        opened.transpose().map_err(|error| ApiError::bad_field("cursor", error.to_string()))
    }
}

/// `GET /warehouses`.
async fn list<S, Q, L, C>(
    State(warehouses): Shared<S, Q, L, C>,
    Extension(caller): Extension<Caller>,
    query: Asked,
) -> Result<Json<WarehouseListBody>, ApiError>
where
    S: WarehouseStore,
{
    let query = asked(query)?;
    let after: Option<(i64, String)> = warehouses.open(&caller, "warehouses", &query)?;
    let position =
        after.and_then(|(millis, id)| Some((Timestamp::from_millis(millis).ok()?, LocationId::parse(&id).ok()?)));
    let after = position.as_ref().map(|(claimed_at, id)| (*claimed_at, id));
    let page = warehouses.store.warehouses_of(&caller.organization, after, PAGE).await?;
    let next = page.warehouses.last().filter(|_| page.more).map(|last| {
        let position = (last.claimed_at.as_millis(), last.id.as_str());
        warehouses.cursors.seal_position(&caller.organization, "warehouses", &position)
    });
    let items = page.warehouses.iter().map(WarehouseBody::new).collect();
    Ok(Json(WarehouseListBody { items, next_cursor: next.unwrap_or_default() }))
}

/// `POST /sync/warehouses/{warehouseId}`.
async fn reconcile<S, Q, L, C>(
    State(warehouses): Shared<S, Q, L, C>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError>
where
    S: WarehouseStore + JobStore + IdempotencyStore + AuditLog,
    Q: Queue,
    C: Clock,
{
    let name = read_path("warehouseId", &name, LocationId::parse)?;
    let Warehouses { store, queue, clock, .. } = &*warehouses;
    let organization = caller.organization.clone();
    let known = store.load_warehouse(&name).await?.filter(|warehouse| warehouse.organization == organization);
    if known.is_none() {
        return Err(ApiError::not_found("there is no such warehouse"));
    }
    let canonical = json!(["POST /sync/warehouses", name.as_str()]);
    let operation = BoundRequest::bind(&**store, clock, &organization, header_key(&headers)?, &canonical).await?;
    if let Some(body) = operation.answer::<WarehouseJobBody>()? {
        return Ok(answered(StatusCode::ACCEPTED, body, true));
    }
    let (asks, target) = (caller.asks(&operation), format!("warehouse/{name}"));
    asks.write_down(&**store, &organization, AdminAction::SyncTriggered, &target, String::new()).await?;
    let id = job_id(&operation, "")?;
    let job = Job::queued(organization, id, JobKind::Warehouse, name.as_str(), operation.time);
    let started = trigger_one(TriggerDeps { store: &**store, queue, clock }, &job).await;
    let started = started.map_err(|error| match error {
        TriggerError::Store(error) => ApiError::from(error),
        TriggerError::Queue(error) => error.into(),
    })?;
    let body = WarehouseJobBody { job_id: started.job.id.to_string(), status: started.job.status.as_str().to_owned() };
    let body = operation.keep(&**store, clock, body).await?;
    Ok(answered(StatusCode::ACCEPTED, body, false))
}

/// `GET /sync/conflicts`.
async fn conflicts<S, Q, L, C>(
    State(warehouses): Shared<S, Q, L, C>,
    Extension(caller): Extension<Caller>,
    query: Asked,
) -> Result<Json<Value>, ApiError>
where
    S: ConflictStore,
{
    let query = asked(query)?;
    let open = match query.status.as_deref() {
        None => None,
        Some("open") => Some(true),
        Some("resolved") => Some(false),
        Some(_) => return Err(ApiError::bad_field("status", "must be open or resolved")),
    };
    let after: Option<String> = warehouses.open(&caller, "conflicts", &query)?;
    let page = warehouses.store.conflicts(&caller.organization, open, after.as_deref(), PAGE).await?;
    let seal = |id: String| warehouses.cursors.seal_position(&caller.organization, "conflicts", &id);
    let items: Vec<_> = page.conflicts.iter().map(Conflict::to_data).collect();
    Ok(Json(json!({ "items": items, "nextCursor": page.next.map(seal).unwrap_or_default() })))
}

/// `POST /sync/conflicts/{id}/resolve`. Without a key of its own: the same wish twice is the same answer.
async fn resolve<S, Q, L, C>(
    State(warehouses): Shared<S, Q, L, C>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    JsonBody(object): JsonBody,
) -> Result<Response, ApiError>
where
    S: StockStore + ConflictStore + AuditLog,
    C: Clock,
{
    let mut fields = Fields::of(&object);
    let choice = fields.text("resolution", |text| match text {
        "warehouse" | "central" | "quantity" => Ok(text.to_owned()),
        _ => Err("must be warehouse, central or quantity"),
    });
    let units = match choice.as_deref() {
        Some("quantity") => fields.integer("quantity", Quantity::new).map(Some),
        _ if fields.has("quantity") => fields.refuse("quantity", "belongs to the resolution quantity only"),
        _ => Some(None),
    };
    let (choice, units) = fields.finish((choice, units))?;
    let choice = match (choice.as_str(), units) {
        ("warehouse", _) => ConflictChoice::Warehouse,
        (_, Some(units)) => ConflictChoice::Quantity(units),
        _ => ConflictChoice::Central,
    };
    let Warehouses { store, clock, ids, .. } = &*warehouses;
    let open = store.load_conflict(&caller.organization, &id).await?.is_some_and(|found| found.resolution.is_none());
    if open {
        let about = units.map_or_else(|| choice.as_str().to_owned(), |units| format!("quantity {}", units.get()));
        let asks = caller.asks_once(clock.now());
        asks.write_down(&**store, &caller.organization, AdminAction::ConflictResolved, &id, about).await?;
    }
    let asked =
        Resolve { organization: caller.organization, id, choice, by: caller.key.id.clone(), actor: caller.key.actor() };
    match resolve_conflict(CountDeps { store: &**store, clock, ids }, &asked).await? {
        ResolveResult::Resolved(conflict) => {
            tracing::info!(conflict.id = conflict.id, key.id = asked.by, "conflict {} is settled", conflict.id);
            Ok(Json(conflict.to_data()).into_response())
        }
        ResolveResult::Otherwise(conflict) => {
            let how = conflict.resolution.as_ref().map_or("otherwise", |resolution| resolution.choice.as_str());
            Err(ApiError::conflict(format!("the conflict was resolved before: {how}"), None))
        }
        ResolveResult::Unknown => Err(ApiError::not_found("there is no such conflict")),
    }
}
