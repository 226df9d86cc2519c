//! What travels on our own queues. Kept apart from the domain's types, because old messages may be read by new code.

use evenstock_domain::{
    ActorCode, Delta, EventBody, EventIdKey, LevelKey, LocationId, Means, OrganizationId, Quantity, Sku, Source,
    StockEvent, Timestamp,
};
use serde::{Deserialize, Serialize};

/// A stock event on its way to its level: the body of a message on `stock-changes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StockChange {
    /// Names the event within its level, the same for every delivery of it.
    pub event_id: String,
    /// The tenant.
    pub organization: String,
    /// The product.
    pub sku: String,
    /// The place.
    pub location: String,
    /// Who says so.
    pub source: String,
    /// When it happened, RFC 3339.
    pub time: String,
    /// The delivery that brought it, for logs only.
    pub job_id: String,
    /// What it says.
    pub change: ChangeBody,
}

/// What a [`StockChange`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum ChangeBody {
    /// An authority's count of what can be sold.
    CountAvailable {
        /// The number stated.
        quantity: i64,
        /// Tie-break within one millisecond.
        sequence: u64,
    },
    /// An authority's count of what lies on the shelf.
    CountOnHand {
        /// The number stated.
        quantity: i64,
        /// Tie-break within one millisecond.
        sequence: u64,
    },
    /// What a merged source states.
    Merged {
        /// The number stated.
        quantity: i64,
        /// Tie-break within one millisecond.
        sequence: u64,
    },
    /// Units that left or came.
    Delta {
        /// The change.
        delta: i64,
    },
    /// The same, let in by an operator although it is older than is taken otherwise. Nothing that takes deliveries writes
    /// it: whoever may put messages on the queue may decide so.
    ForcedDelta {
        /// The change.
        delta: i64,
    },
}

/// A message that is not a stock event.
#[derive(Debug, thiserror::Error)]
pub enum InvalidMessage {
    /// It is not JSON of the right shape.
    #[error("not a stock change: {0}")]
    Shape(#[from] serde_json::Error),
    /// A field holds what it must not.
    #[error("{field}: {issue}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        issue: String,
    },
}

impl StockChange {
    /// Reads a message's body.
    ///
    /// # Errors
    /// [`InvalidMessage::Shape`] when it is not JSON of this shape.
    pub fn from_json(body: &str) -> Result<Self, InvalidMessage> {
        Ok(serde_json::from_str(body)?)
    }

    /// The message's body.
    ///
    /// # Errors
    /// None that this type can cause; `serde_json` has no infallible form.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The same change as somebody lets it in who looked at it, whatever its age. `None` for what age never keeps out.
    pub fn forced(self) -> Option<Self> {
        match self.change {
            ChangeBody::Delta { delta } | ChangeBody::ForcedDelta { delta } => {
                Some(Self { change: ChangeBody::ForcedDelta { delta }, ..self })
            }
            _ => None,
        }
    }

    /// The event and the level that it belongs to.
    ///
    /// # Errors
    /// [`InvalidMessage::Field`] naming the first field that holds what it must not.
    pub fn to_event(&self, ids: &EventIdKey) -> Result<(LevelKey, StockEvent), InvalidMessage> {
        let key = LevelKey {
            organization: field("organization", OrganizationId::parse(&self.organization))?,
            sku: field("sku", Sku::parse(&self.sku))?,
            location: field("location", LocationId::parse(&self.location))?,
        };
        if self.event_id.is_empty() {
            return Err(InvalidMessage::Field { field: "eventId", issue: "must not be empty".to_owned() });
        }
        let event = StockEvent {
            id: ids.event_id(&self.event_id),
            time: field("time", Timestamp::parse(&self.time))?,
            source: field("source", Source::parse(&self.source))?,
            actor: ActorCode::default(),
            body: self.change.to_body()?,
        };
        Ok((key, event))
    }
}

impl ChangeBody {
    fn to_body(self) -> Result<EventBody, InvalidMessage> {
        let quantity = |quantity| field("change.quantity", Quantity::new(quantity));
        Ok(match self {
            Self::CountAvailable { quantity: units, sequence } => {
                EventBody::Count { quantity: quantity(units)?, means: Means::Available, sequence }
            }
            Self::CountOnHand { quantity: units, sequence } => {
                EventBody::Count { quantity: quantity(units)?, means: Means::OnHand, sequence }
            }
            Self::Merged { quantity: units, sequence } => EventBody::Merged { quantity: quantity(units)?, sequence },
            Self::Delta { delta } => EventBody::Delta(field("change.delta", Delta::new(delta))?),
            Self::ForcedDelta { delta } => EventBody::ForcedDelta(field("change.delta", Delta::new(delta))?),
        })
    }
}

fn field<T, E: core::fmt::Display>(field: &'static str, value: Result<T, E>) -> Result<T, InvalidMessage> {
    value.map_err(|error| InvalidMessage::Field { field, issue: error.to_string() })
}

/// A poll that somebody asked for: the body of a message on `poll-jobs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PollJob {
    /// Names the job.
    pub job_id: String,
    /// Who asked.
    pub organization: String,
    /// When, RFC 3339.
    pub requested_at: String,
}
