//! The items of deliveries, and of what arrived at once.

use evenstock_app::{Arrival, Arrivals, StoreError, StoredDelivery};
use evenstock_domain::{
    Attempt, Delivery, DeliveryId, DeliveryState, EventType, KEPT_MS, OrganizationId, StoreId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::arrival_bodies::{pack, unpack};
use crate::errors::corrupt;
use crate::keys::{self, Key};
use crate::level_item::item_name;
use crate::table::Attributes;

#[derive(Debug, Serialize, Deserialize)]
struct AttemptPart {
    /// Begun, milliseconds.
    a: i64,
    /// Milliseconds that it took.
    m: u32,
    /// Status code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    c: Option<u16>,
    /// Why there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    /// The beginning of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<String>,
}

impl AttemptPart {
    fn new(attempt: &Attempt) -> Self {
        Self {
            a: attempt.at.as_millis(),
            m: attempt.duration_ms,
            c: attempt.status_code,
            e: attempt.error.clone(),
            r: attempt.response.clone(),
        }
    }

    fn read(self) -> Option<Attempt> {
        let at = Timestamp::from_millis(self.a).ok()?;
        Some(Attempt { at, status_code: self.c, duration_ms: self.m, error: self.e, response: self.r })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeliveryItem {
    pk: String,
    sk: String,
    /// The optimistic lock.
    rv: u64,
    /// Organization, as a plain name.
    og: String,
    /// The delivery's name.
    i: String,
    /// The event's name and kind.
    ei: String,
    ev: String,
    /// Marketplace store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    st: Option<String>,
    /// Body.
    b: String,
    /// State.
    s: String,
    /// Tries.
    at: Vec<AttemptPart>,
    /// Tries since the last replay, and waits without one.
    tr: u32,
    pa: u32,
    /// Next try, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    na: Option<i64>,
    /// Last changed, milliseconds.
    ua: i64,
    /// Group and time in the index of what is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dt: Option<i64>,
    /// When it may be deleted, seconds.
    x: i64,
}

impl DeliveryItem {
    pub(crate) fn new(rev: u64, delivery: &Delivery) -> Self {
        let Key { pk, sk } = keys::delivery(&delivery.organization, &delivery.id);
        Self {
            pk,
            sk,
            rv: rev,
            og: delivery.organization.to_string(),
            i: delivery.id.to_string(),
            ei: delivery.event_id.clone(),
            ev: delivery.event.as_str().to_owned(),
            st: delivery.store.as_ref().map(ToString::to_string),
            b: delivery.body.clone(),
            s: delivery.state.as_str().to_owned(),
            at: delivery.attempts.iter().map(AttemptPart::new).collect(),
            tr: delivery.tries,
            pa: delivery.parked,
            na: delivery.next_attempt_at.map(Timestamp::as_millis),
            ua: delivery.updated_at.as_millis(),
            d: delivery.due_at.map(|_| keys::due_deliveries(delivery.due_bucket())),
            dt: delivery.due_at.map(Timestamp::as_millis),
            x: delivery.kept_until().as_millis() / 1000 + 1,
        }
    }
}

pub(crate) fn read_delivery(attributes: Attributes) -> Result<StoredDelivery, StoreError> {
    let name = item_name(&attributes);
    let item: DeliveryItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    let time = |millis: Option<i64>| millis.map(Timestamp::from_millis).transpose().ok();
    let rev = item.rv;
    let parts = move || {
        Some(Delivery {
            organization: OrganizationId::parse(&item.og).ok()?,
            id: DeliveryId::parse(&item.i).ok()?,
            event_id: item.ei,
            event: EventType::parse(&item.ev)?,
            store: item.st.as_deref().map(StoreId::parse).transpose().ok()?,
            body: item.b,
            state: DeliveryState::parse(&item.s)?,
            attempts: item.at.into_iter().map(AttemptPart::read).collect::<Option<_>>()?,
            tries: item.tr,
            parked: item.pa,
            next_attempt_at: time(item.na)?,
            due_at: time(item.dt)?,
            updated_at: Timestamp::from_millis(item.ua).ok()?,
        })
    };
    let delivery = parts().ok_or_else(|| corrupt(name, "not a delivery"))?;
    Ok(StoredDelivery { rev, delivery })
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ArrivalsItem {
    pk: String,
    sk: String,
    /// What arrived.
    l: Vec<ArrivalPart>,
    /// Their bodies, packed; absent when they are too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bo: Option<ByteBuf>,
    /// When it may be deleted, seconds.
    x: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct ArrivalPart {
    /// The delivery's name.
    i: String,
    /// The event's name and kind.
    ei: String,
    ev: String,
    /// Marketplace store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    st: Option<String>,
    #[serde(flatten)]
    attempt: AttemptPart,
}

impl ArrivalsItem {
    pub(crate) fn new(arrivals: &Arrivals) -> Self {
        // Its first delivery tells it from what others write down in the same millisecond.
        let digest = arrivals.arrived.first().map(|arrival| arrival.id.digest()).unwrap_or_default();
        let Key { pk, sk } = keys::arrivals(&arrivals.organization, &arrivals.endpoint, arrivals.at, digest);
        let part = |arrival: &Arrival| ArrivalPart {
            i: arrival.id.to_string(),
            ei: arrival.event_id.clone(),
            ev: arrival.event.as_str().to_owned(),
            st: arrival.store.as_ref().map(ToString::to_string),
            attempt: AttemptPart::new(&arrival.attempt),
        };
        let x = arrivals.at.plus_millis(KEPT_MS).as_millis() / 1000 + 1;
        let bodies: Option<Vec<_>> = arrivals.arrived.iter().map(|arrival| arrival.body.as_deref()).collect();
        let bo = bodies.and_then(|bodies| pack(&bodies)).map(ByteBuf::from);
        Self { pk, sk, l: arrivals.arrived.iter().map(part).collect(), bo, x }
    }
}

pub(crate) fn read_arrivals(attributes: Attributes) -> Result<Vec<Arrival>, StoreError> {
    let name = item_name(&attributes);
    let item: ArrivalsItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    let read = |(part, body): (ArrivalPart, Option<String>)| {
        let (id, event) = (DeliveryId::parse(&part.i).ok()?, EventType::parse(&part.ev)?);
        let store = part.st.as_deref().map(StoreId::parse).transpose().ok()?;
        Some(Arrival { id, event_id: part.ei, event, store, body, attempt: part.attempt.read()? })
    };
    let bodies = match &item.bo {
        Some(packed) => unpack(packed).filter(|bodies| bodies.len() == item.l.len()),
        None => Some(Vec::new()),
    };
    let bodies = bodies.ok_or_else(|| corrupt(name.clone(), "bodies that cannot be unpacked"))?;
    let bodies = bodies.into_iter().map(Some).chain(core::iter::repeat(None));
    let arrived: Option<_> = item.l.into_iter().zip(bodies).map(read).collect();
    arrived.ok_or_else(|| corrupt(name, "not a log of deliveries"))
}
