//! Reservations of one or many lines: create, read, release, fulfil, extend.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use evenstock_app::{
    Answer, Clock, IdempotencyStore, RefusedLine, ReservationDeps, ReservationStore, Reserve, ReserveResult, Settle,
    SettleResult, StockStore, Wanted, reserve, settle,
};
use evenstock_domain::{
    Delta, LINES_MAX, Line, LocationId, OrderId, OutOfRange, Reservation, ReservationId, ReservationState, Sku,
    TTL_SECONDS_MAX, sum_lines,
};
use evenstock_runtime::http::{
    ApiError, BoundRequest, Caller, FieldIssue, Fields, JsonBody, answered, header_key, key_reused, read_path,
    request_hash,
};
use evenstock_runtime::new_id;
use serde_json::json;

use crate::Inventory;
use crate::reservation_wire::{HeldBody, ReservationBody, line_bodies};

/// How long units are held unless the caller says otherwise, in seconds.
const TTL_SECONDS_DEFAULT: i64 = 900;

type Shared<S, C> = State<Arc<Inventory<S, C>>>;

/// `POST /reservations`: all lines or none.
pub(crate) async fn create<S, C>(
    State(inventory): Shared<S, C>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody(object): JsonBody,
) -> Result<Response, ApiError>
where
    S: StockStore + ReservationStore + IdempotencyStore,
    C: Clock,
{
    let key = header_key(&headers)?;
    let mut fields = Fields::of(&object);
    let order_id = fields.text("orderId", OrderId::parse);
    let ttl_seconds = read_ttl(&mut fields);
    let given = read_lines(&mut fields);
    let lines =
        given.clone().and_then(|given| sum_lines(given).map_or_else(|error| fields.refuse("lines", error), Some));
    let (order_id, ttl_seconds, given, lines) = fields.finish((order_id, ttl_seconds, given, lines))?;
    let of_line = |line: &Line| json!([line.sku.as_str(), line.location.as_str(), line.units]);
    let canonical: Vec<_> = lines.iter().map(of_line).collect();
    let canonical = json!(["POST /reservations", order_id.as_str(), ttl_seconds, canonical]);
    let asked = Reserve {
        organization: caller.organization.clone(),
        order_id: Some(order_id),
        lines,
        ttl_seconds,
        expected_version: None,
        idempotency: key.map(|key| (key, request_hash(&canonical))),
        new_id: fresh_id()?,
        actor: caller.key.actor(),
    };
    match reserve(deps(&inventory), &asked).await? {
        ReserveResult::KeyReused => Err(key_reused()),
        ReserveResult::Refused(refused) => Err(short_lines(&asked.lines, &given, &refused)),
        ReserveResult::Reserved { reservation, replayed, .. } => {
            let body = HeldBody {
                reservation_id: reservation.id.to_string(),
                expires_at: first_expiry(&reservation, ttl_seconds),
                lines: line_bodies(&reservation),
            };
            Ok(answered(StatusCode::CREATED, body, replayed))
        }
    }
}

/// `GET /reservations/{id}`.
pub(crate) async fn read<S: ReservationStore, C>(
    State(inventory): Shared<S, C>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = read_path("reservationId", &id, ReservationId::parse)?;
    let stored = inventory.store.load_reservation(&caller.organization, &id).await?;
    let stored = stored.filter(|stored| !stored.reservation.was_refused()).ok_or_else(unknown)?;
    Ok(Json(ReservationBody::new(&stored.reservation)).into_response())
}

/// `POST /reservations/{id}/release`.
pub(crate) async fn release<S, C>(
    State(inventory): Shared<S, C>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError>
where
    S: StockStore + ReservationStore + IdempotencyStore,
    C: Clock,
{
    end(&inventory, &caller, &id, &headers, Wanted::Release).await
}

/// `POST /reservations/{id}/fulfil`.
pub(crate) async fn fulfil<S, C>(
    State(inventory): Shared<S, C>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError>
where
    S: StockStore + ReservationStore + IdempotencyStore,
    C: Clock,
{
    end(&inventory, &caller, &id, &headers, Wanted::Fulfil).await
}

/// `POST /reservations/{id}/extend`: held for so many seconds from now on, never shorter than before.
pub(crate) async fn extend<S, C>(
    State(inventory): Shared<S, C>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(object): JsonBody,
) -> Result<Response, ApiError>
where
    S: StockStore + ReservationStore + IdempotencyStore,
    C: Clock,
{
    let mut fields = Fields::of(&object);
    let ttl_seconds = fields.integer("ttlSeconds", ttl);
    let (ttl_seconds, ()) = fields.finish((ttl_seconds, Some(())))?;
    end(&inventory, &caller, &id, &headers, Wanted::Extend { ttl_seconds }).await
}

async fn end<S, C>(
    inventory: &Inventory<S, C>,
    caller: &Caller,
    id: &str,
    headers: &HeaderMap,
    wanted: Wanted,
) -> Result<Response, ApiError>
where
    S: StockStore + ReservationStore + IdempotencyStore,
    C: Clock,
{
    let key = header_key(headers)?;
    let id = read_path("reservationId", id, ReservationId::parse)?;
    let (what, ttl_seconds) = match wanted {
        Wanted::Release => ("release", None),
        Wanted::Fulfil => ("fulfil", None),
        Wanted::Extend { ttl_seconds } => ("extend", Some(ttl_seconds)),
    };
    let canonical = json!([format!("POST /reservations/{id}/{what}"), ttl_seconds]);
    let Inventory { store, clock, .. } = inventory;
    let operation = BoundRequest::bind(&**store, clock, &caller.organization, key, &canonical).await?;
    if let Some(body) = operation.answer::<ReservationBody>()? {
        return Ok(answered(StatusCode::OK, body, true));
    }
    let (organization, actor) = (caller.organization.clone(), caller.key.actor());
    let asked = Settle { organization, id, wanted, time: operation.time, known: operation.known, actor };
    match settle(deps(inventory), &asked).await? {
        SettleResult::Unknown => Err(unknown()),
        SettleResult::Conflict { state, .. } => Err(other_state(state)),
        SettleResult::Settled { reservation, repeated } => {
            let body = ReservationBody::new(&reservation);
            // An end is answered alike for ever, but what was extended goes on.
            let body = if ttl_seconds.is_some() { operation.keep(&**store, clock, body).await? } else { body };
            Ok(answered(StatusCode::OK, body, operation.known && repeated))
        }
    }
}

pub(crate) fn deps<S, C>(inventory: &Inventory<S, C>) -> ReservationDeps<'_, S, C> {
    ReservationDeps { store: &*inventory.store, clock: &inventory.clock, ids: &inventory.ids }
}

pub(crate) fn fresh_id() -> Result<ReservationId, ApiError> {
    ReservationId::parse(&new_id()).map_err(ApiError::internal)
}

/// The expiry that was first answered; it may have been extended since.
pub(crate) fn first_expiry(reservation: &Reservation, ttl_seconds: i64) -> String {
    reservation.created_at.plus_millis(ttl_seconds.saturating_mul(1000)).to_string()
}

fn unknown() -> ApiError {
    ApiError::not_found("there is no such reservation")
}

fn other_state(state: ReservationState) -> ApiError {
    let state = state.as_str();
    let issue = FieldIssue { field: "state".to_owned(), issue: format!("is {state}") };
    ApiError::conflict(format!("the reservation is {state}"), None).with_details(vec![issue])
}

/// Names every short line by its first place in the request.
fn short_lines(lines: &[Line], given: &[Line], refused: &[RefusedLine]) -> ApiError {
    let issue = |refused: &RefusedLine| {
        let line = lines.get(refused.place)?;
        let same = |given: &Line| (&given.sku, &given.location) == (&line.sku, &line.location);
        let place = given.iter().position(same).unwrap_or(refused.place);
        let Line { sku, location, units } = line;
        let issue = match (&refused.answer, &refused.level) {
            (_, None) => format!("asks for {units} of {sku} at {location}, which is not known there"),
            (Answer::Rejected(reason), Some(_)) => format!("is refused: {reason}"),
            (_, Some(level)) => {
                format!("asks for {units} of {sku} at {location}, where {} can be had", level.sellable())
            }
        };
        Some(FieldIssue { field: format!("lines[{place}].qty"), issue })
    };
    let details = refused.iter().filter_map(issue).collect();
    ApiError::unprocessable("not enough stock for every line; nothing is held", None).with_details(details)
}

/// `ttlSeconds`, which may be left out.
pub(crate) fn read_ttl(fields: &mut Fields<'_>) -> Option<i64> {
    if fields.has("ttlSeconds") { fields.integer("ttlSeconds", ttl) } else { Some(TTL_SECONDS_DEFAULT) }
}

fn ttl(seconds: i64) -> Result<i64, String> {
    let fits = (1..=TTL_SECONDS_MAX).contains(&seconds);
    fits.then_some(seconds).ok_or_else(|| format!("must be 1 to {TTL_SECONDS_MAX} seconds"))
}

/// A quantity to hold: at least 1.
pub(crate) fn units(units: i64) -> Result<i64, OutOfRange> {
    if units < 0 { Err(OutOfRange::Negative) } else { Delta::new(units).map(Delta::get) }
}

fn read_lines(fields: &mut Fields<'_>) -> Option<Vec<Line>> {
    let given = fields.list("lines")?;
    if !(1..=LINES_MAX).contains(&given.len()) {
        return fields.refuse("lines", format_args!("must hold 1 to {LINES_MAX} lines"));
    }
    let mut lines = Vec::with_capacity(given.len());
    for (place, line) in given.iter().enumerate() {
        let Some(object) = line.as_object() else {
            fields.refuse::<()>(&format!("lines[{place}]"), "must be a JSON object");
            continue;
        };
        let mut own = Fields::of(object);
        let sku = own.text("sku", Sku::parse);
        let location = own.text("storeId", LocationId::parse);
        let units = own.integer("qty", units);
        match own.finish((sku, location, units)) {
            Ok((sku, location, units)) => lines.push(Line { sku, location, units }),
            Err(error) => {
                for FieldIssue { field, issue } in error.details() {
                    fields.refuse::<()>(&format!("lines[{place}].{field}"), issue);
                }
            }
        }
    }
    (lines.len() == given.len()).then_some(lines)
}
