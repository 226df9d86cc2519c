//! What subscribers are told: the events of callbacks and of the bus, by name and content.
//!
//! Must not know who subscribes, nor how anything is delivered.

use evenstock_domain::{EventType, OrganizationId, StoreId, Timestamp};
use serde_json::Value;

/// Something that happened, as subscribers are told of it. The same happening gives the same announcement, however often
/// the stream brings it.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    /// Names the event for ever: a function of what happened, never of a delivery. Letters, digits, `-`, `_` and `.`.
    pub event_id: String,
    /// What kind of event it is.
    pub event: EventType,
    /// When it happened.
    pub time: Timestamp,
    /// Whom it concerns.
    pub organization: OrganizationId,
    /// The marketplace store, where there is one.
    pub store: Option<StoreId>,
    /// The rest, a JSON object.
    pub data: Value,
}
