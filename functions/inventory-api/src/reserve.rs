//! `POST /api/inventory/stores/{storeId}/inventory/{sku}/reserve`: units of one level, under a version if the caller
//! likes (document 3 of the requirements).

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use evenstock_app::{
    Clock, IdempotencyStore, RefusedLine, ReservationStore, Reserve, ReserveResult, StockStore, reserve,
};
use evenstock_domain::{LevelKey, Line, LocationId, OrderId, OutOfRange, Placed, Reservation, Sku};
use evenstock_runtime::http::{
    ApiError, Caller, Fields, JsonBody, answered, header_key, key_reused, read_path, request_hash,
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::Inventory;
use crate::conditions::{if_match, refusal};
use crate::records::{ChangedRecord, changed, tagged};
use crate::reservations::{deps, first_expiry, fresh_id, read_ttl, units};

/// Units of one level that are held now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReservedBody {
    success: bool,
    new_quantity: i64,
    new_version: u64,
    record: ChangedRecord,
    reservation_id: String,
    expires_at: String,
}

/// Handles one reservation of one level.
pub(crate) async fn reserve_one<S, C>(
    inventory: &Inventory<S, C>,
    caller: &Caller,
    (store, sku): (&str, &str),
    headers: &HeaderMap,
    JsonBody(object): &JsonBody,
) -> Result<Response, ApiError>
where
    S: StockStore + ReservationStore + IdempotencyStore,
    C: Clock,
{
    let key = header_key(headers)?;
    let location = read_path("storeId", store, LocationId::parse)?;
    let sku = read_path("sku", sku, Sku::parse)?;
    let mut fields = Fields::of(object);
    let units = fields.integer("qty", units);
    let ttl_seconds = read_ttl(&mut fields);
    let expected = fields.optional("expectedVersion", |fields, name| {
        fields.integer(name, |version| u64::try_from(version).map_err(|_| OutOfRange::Negative))
    });
    let order_id = fields.optional("orderId", |fields, name| fields.text(name, OrderId::parse));
    let (units, ttl_seconds, expected, order_id) = fields.finish((units, ttl_seconds, expected, order_id))?;
    let expected_version = if_match(headers)?.unwrap_or(expected);
    let path = format!("POST /api/inventory/stores/{location}/inventory/{sku}/reserve");
    let canonical = json!([path, units, ttl_seconds, expected_version, order_id.as_ref().map(OrderId::as_str)]);
    let asked = Reserve {
        organization: caller.organization.clone(),
        order_id,
        lines: vec![Line { sku, location, units }],
        ttl_seconds,
        expected_version,
        idempotency: key.map(|key| (key, request_hash(&canonical))),
        new_id: fresh_id()?,
        actor: caller.key.actor(),
    };
    match reserve(deps(inventory), &asked).await? {
        ReserveResult::KeyReused => Err(key_reused()),
        ReserveResult::Refused(refused) => Err(refused.first().map_or_else(unknown, why)),
        ReserveResult::Reserved { reservation, placed, replayed } => {
            let entry = placed.into_iter().next().flatten();
            reserved(&reservation, entry.as_ref(), ttl_seconds, replayed)
        }
    }
}

fn reserved(
    reservation: &Reservation,
    entry: Option<&Placed>,
    ttl_seconds: i64,
    replayed: bool,
) -> Result<Response, ApiError> {
    let (Some(line), Some(entry)) = (reservation.lines.first(), entry) else {
        let forgotten = "the history that this answer is rebuilt from is gone";
        return Err(ApiError::internal(std::io::Error::other(forgotten)));
    };
    let key = LevelKey {
        organization: reservation.organization.clone(),
        sku: line.sku.clone(),
        location: line.location.clone(),
    };
    let body = ReservedBody {
        success: true,
        new_quantity: entry.available_after,
        new_version: entry.version,
        record: changed(&key, entry.available_after, entry.version, entry.entry.committed_at),
        reservation_id: reservation.id.to_string(),
        expires_at: first_expiry(reservation, ttl_seconds),
    };
    Ok(tagged(answered(StatusCode::CREATED, body, replayed), entry.version))
}

fn why(line: &RefusedLine) -> ApiError {
    line.level.as_ref().map_or_else(unknown, |level| refusal(&line.answer, level))
}

fn unknown() -> ApiError {
    ApiError::not_found("there is no stock of this product")
}
