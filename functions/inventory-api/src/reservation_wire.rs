//! What callers see of a reservation.

use evenstock_domain::{Line, Reservation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A line as callers see it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LineBody {
    sku: String,
    store_id: String,
    qty: i64,
}

/// Lines that are held now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeldBody {
    pub(crate) reservation_id: String,
    pub(crate) expires_at: String,
    pub(crate) lines: Vec<LineBody>,
}

/// A reservation as it stands.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReservationBody {
    reservation_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    state: String,
    created_at: String,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_at: Option<String>,
    lines: Vec<LineBody>,
}

pub(crate) fn line_bodies(reservation: &Reservation) -> Vec<LineBody> {
    let line =
        |line: &Line| LineBody { sku: line.sku.to_string(), store_id: line.location.to_string(), qty: line.units };
    reservation.lines.iter().map(line).collect()
}

impl ReservationBody {
    pub(crate) fn new(reservation: &Reservation) -> Self {
        Self {
            reservation_id: reservation.id.to_string(),
            order_id: reservation.order_id.as_ref().map(ToString::to_string),
            state: reservation.state.as_str().to_owned(),
            created_at: reservation.created_at.to_string(),
            expires_at: reservation.expires_at.to_string(),
            settled_at: reservation.settled_at.map(|at| at.to_string()),
            lines: line_bodies(reservation),
        }
    }
}
