//! The reservation's item.

use evenstock_app::{StoreError, StoredReservation};
use evenstock_domain::{ActorCode, Line, LocationId, OrderId, Reservation, ReservationState, Sku, Timestamp};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::errors::corrupt;
use crate::keys::{self, Key};
use crate::level_item::item_name;
use crate::table::Attributes;
use crate::written_in::written_in;

/// How long a reservation is kept after its end, in seconds: 90 days. Longer than any idempotency key, whose repetition
/// must find it.
const KEPT_S: i64 = 90 * 24 * 60 * 60;

/// A reservation as it stands in the table and in its stream.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReservationItem {
    pk: String,
    sk: String,
    /// Rev, the optimistic lock.
    rv: u64,
    /// Order.
    #[serde(rename = "or", default, skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    /// Lines.
    ln: Vec<LineItem>,
    /// State.
    st: String,
    /// Attempts before this one.
    at: u32,
    /// Created at, milliseconds.
    ca: i64,
    /// Expires at, milliseconds.
    ea: i64,
    /// Held at, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ha: Option<i64>,
    /// Settled at, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sa: Option<i64>,
    /// Actor.
    ac: u32,
    /// Group in the index of due items; only while it can come to be due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<String>,
    /// Due at, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dt: Option<i64>,
    /// When it may be deleted, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<i64>,
    /// The trace of the write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tc: Option<ByteBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct LineItem {
    /// SKU.
    s: String,
    /// Location.
    l: String,
    /// Units.
    n: i64,
}

impl ReservationItem {
    pub(crate) fn new(rev: u64, reservation: &Reservation) -> Self {
        let Key { pk, sk } = keys::reservation(&reservation.organization, &reservation.id);
        let due_at = reservation.due_at();
        let line = |line: &Line| LineItem { s: line.sku.to_string(), l: line.location.to_string(), n: line.units };
        Self {
            pk,
            sk,
            rv: rev,
            order: reservation.order_id.as_ref().map(ToString::to_string),
            ln: reservation.lines.iter().map(line).collect(),
            st: reservation.state.as_str().to_owned(),
            at: reservation.attempt,
            ca: reservation.created_at.as_millis(),
            ea: reservation.expires_at.as_millis(),
            ha: reservation.held_at.map(Timestamp::as_millis),
            sa: reservation.settled_at.map(Timestamp::as_millis),
            ac: reservation.actor.0,
            d: due_at.map(|_| keys::due_reservations(reservation.due_bucket())),
            dt: due_at.map(Timestamp::as_millis),
            x: reservation.settled_at.map(|settled_at| settled_at.as_millis() / 1000 + KEPT_S),
            tc: written_in(),
        }
    }

    /// The reservation, checked as far as an item can be.
    fn into_stored(self) -> Result<StoredReservation, StoreError> {
        let name = format!("{} {}", self.pk, self.sk);
        let rev = self.rv;
        self.into_reservation()
            .map(|reservation| StoredReservation { rev, reservation })
            .map_err(|what| corrupt(name, what))
    }

    fn into_reservation(self) -> Result<Reservation, &'static str> {
        let (organization, id) = keys::parse_reservation(&self.pk, &self.sk).ok_or("not a reservation's key")?;
        let time = |millis| Timestamp::from_millis(millis).map_err(|_| "a time");
        let line = |line: LineItem| {
            let sku = Sku::parse(&line.s).map_err(|_| "a line's SKU")?;
            let location = LocationId::parse(&line.l).map_err(|_| "a line's location")?;
            if line.n > 0 { Ok(Line { sku, location, units: line.n }) } else { Err("a line's units") }
        };
        let state = ReservationState::parse(&self.st).ok_or("a state")?;
        if state.is_end() != self.sa.is_some() {
            return Err("an end without its time, or a time without its end");
        }
        Ok(Reservation {
            organization,
            id,
            order_id: self.order.map(|order| OrderId::parse(&order)).transpose().map_err(|_| "an order's name")?,
            lines: self.ln.into_iter().map(line).collect::<Result<_, _>>()?,
            state,
            attempt: self.at,
            created_at: time(self.ca)?,
            expires_at: time(self.ea)?,
            held_at: self.ha.map(time).transpose()?,
            settled_at: self.sa.map(time).transpose()?,
            actor: ActorCode(self.ac),
        })
    }
}

pub(crate) fn read(attributes: Attributes) -> Result<StoredReservation, StoreError> {
    let name = item_name(&attributes);
    let item: ReservationItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name, error))?;
    item.into_stored()
}

/// The reservation that a stream record tells of, after the change. `None` when the record is of another kind of item, or
/// of its deletion.
///
/// # Errors
/// [`StoreError::Corrupt`] when the image cannot be read.
pub fn reservation_change(new: Option<&serde_dynamo::Item>) -> Result<Option<Reservation>, StoreError> {
    let is_reservation = |image: &&serde_dynamo::Item| match image.get("sk") {
        Some(serde_dynamo::AttributeValue::S(sk)) => keys::is_reservation(sk),
        _ => false,
    };
    let Some(image) = new.filter(is_reservation) else {
        return Ok(None);
    };
    let item: ReservationItem =
        serde_dynamo::from_item(image.clone()).map_err(|error| corrupt("stream image of a reservation", error))?;
    item.into_stored().map(|stored| Some(stored.reservation))
}
