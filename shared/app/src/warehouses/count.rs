//! A warehouse's change as we understand it: what lies on hand, as of when, and what it was before.

use evenstock_domain::{
    ActorCode, EventBody, EventIdKey, LocationId, Means, Quantity, Sku, Source, StockEvent, Timestamp,
};

/// The source of everything that a warehouse says. A level belongs to one warehouse, so its name need not be in it.
pub const WAREHOUSE_SOURCE: &str = "warehouse";

/// One row of a warehouse's stock, as of a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarehouseCount {
    /// The product.
    pub sku: Sku,
    /// The place.
    pub warehouse: LocationId,
    /// Units on the shelf from then on.
    pub quantity: Quantity,
    /// Units on the shelf before, when the warehouse says so.
    pub before: Option<i64>,
    /// When, by the warehouse's clock.
    pub time: Timestamp,
    /// Position in the warehouse's log, when it has one. Later changes have greater ones.
    pub position: Option<u64>,
}

impl WarehouseCount {
    /// Names the event within its level: the same for every delivery, and for every copy that another topic carries.
    ///
    /// The position in the log is part of the change itself, unlike the number of a run that reads a list: a row that
    /// goes from 5 to 4 and back within a millisecond is told apart by nothing else. Without one, the quantity is.
    pub fn name(&self) -> String {
        let time = self.time.as_millis();
        match self.position {
            Some(position) => format!("{WAREHOUSE_SOURCE}@{time}#{position}"),
            None => format!("{WAREHOUSE_SOURCE}@{time}={}", self.quantity.get()),
        }
    }

    /// The sequence that breaks ties within a millisecond.
    pub fn sequence(&self) -> u64 {
        self.position.unwrap_or_default()
    }

    /// The event with this body.
    pub(super) fn event(&self, ids: &EventIdKey, source: &Source, body: EventBody) -> StockEvent {
        let id = ids.event_id(&self.name());
        StockEvent { id, time: self.time, source: source.clone(), actor: ActorCode::default(), body }
    }

    /// What it says when nothing contradicts it.
    pub(super) fn plain(&self) -> EventBody {
        EventBody::Count { quantity: self.quantity, means: Means::OnHand, sequence: self.sequence() }
    }

    /// What it says once somebody decided about it.
    pub(super) fn contested(&self, stands: bool) -> EventBody {
        EventBody::Contested { quantity: self.quantity, sequence: self.sequence(), stands }
    }
}

/// [`WAREHOUSE_SOURCE`] as a source.
pub fn warehouse_source() -> Source {
    // The name is a good one, so the other arm is never taken.
    Source::parse(WAREHOUSE_SOURCE).unwrap_or_else(|_| Source::api())
}
