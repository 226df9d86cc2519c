//! The messages of the callbacks' queue.

use evenstock_domain::{DeliveryId, EndpointId, EventType, OrganizationId, StoreId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Announcement, Outgoing};

/// A message that is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a callback's message: {0}")]
pub struct InvalidJob(String);

/// An event as it is sent, frozen when it was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrozenEvent {
    /// The event's name.
    pub event_id: String,
    /// Its kind.
    pub event: EventType,
    /// When it happened.
    pub time: Timestamp,
    /// The marketplace store that it is about.
    pub store: Option<StoreId>,
    /// The body, byte for byte.
    pub body: String,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackJob {
    /// Deliver an event for the first time.
    First {
        /// The tenant.
        organization: OrganizationId,
        /// To whom.
        endpoint: EndpointId,
        /// What.
        event: FrozenEvent,
    },
    /// Try a stored delivery again.
    Again {
        /// The tenant.
        organization: OrganizationId,
        /// Which.
        id: DeliveryId,
    },
    /// Begin the failed deliveries of an endpoint again.
    Replay {
        /// The tenant.
        organization: OrganizationId,
        /// Whose.
        endpoint: EndpointId,
        /// Those of events from then on.
        since: Timestamp,
        /// The last one that was looked at.
        after: Option<DeliveryId>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "lowercase", rename_all_fields = "camelCase")]
enum Wire {
    First {
        organization_id: String,
        endpoint_id: String,
        event_id: String,
        event: String,
        time: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        store_id: Option<String>,
        body: String,
    },
    Again {
        organization_id: String,
        delivery_id: String,
    },
    Replay {
        organization_id: String,
        endpoint_id: String,
        since: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
}

impl FrozenEvent {
    /// What is sent of an announcement. Data that is too large for a callback is replaced by a note that says so.
    pub fn of(announcement: &Announcement) -> Self {
        let body = |data: &serde_json::Value| {
            let mut body = serde_json::Map::new();
            let mut put = |name: &str, value: serde_json::Value| body.insert(name.to_owned(), value);
            put("eventId", announcement.event_id.as_str().into());
            put("event", announcement.event.as_str().into());
            put("timestamp", announcement.time.to_string().into());
            put("organizationId", announcement.organization.as_str().into());
            if let Some(store) = &announcement.store {
                put("storeId", store.as_str().into());
            }
            put("data", data.clone());
            serde_json::Value::Object(body).to_string()
        };
        let mut whole = body(&announcement.data);
        if whole.len() > evenstock_domain::BODY_BYTES_MAX {
            whole = body(&serde_json::json!({ "omitted": "too large", "bytes": whole.len() }));
        }
        Self {
            event_id: announcement.event_id.clone(),
            event: announcement.event,
            time: announcement.time,
            store: announcement.store.clone(),
            body: whole,
        }
    }
}

impl CallbackJob {
    /// Whose it is.
    pub const fn organization(&self) -> &OrganizationId {
        match self {
            Self::First { organization, .. } | Self::Again { organization, .. } | Self::Replay { organization, .. } => {
                organization
            }
        }
    }

    /// Which endpoint it is about.
    pub const fn endpoint(&self) -> &EndpointId {
        match self {
            Self::First { endpoint, .. } | Self::Replay { endpoint, .. } => endpoint,
            Self::Again { id, .. } => &id.endpoint,
        }
    }

    /// The message that may be received after `delay_seconds`.
    pub fn outgoing(&self, delay_seconds: u16) -> Outgoing {
        Outgoing { delay_seconds, ..Outgoing::now(self.to_json(), self.organization().clone()) }
    }

    /// Writes the message.
    pub fn to_json(&self) -> String {
        let wire = match self.clone() {
            Self::First { organization, endpoint, event } => Wire::First {
                organization_id: organization.to_string(),
                endpoint_id: endpoint.to_string(),
                event_id: event.event_id,
                event: event.event.as_str().to_owned(),
                time: event.time.as_millis(),
                store_id: event.store.map(|store| store.to_string()),
                body: event.body,
            },
            Self::Again { organization, id } => {
                Wire::Again { organization_id: organization.to_string(), delivery_id: id.to_string() }
            }
            Self::Replay { organization, endpoint, since, after } => Wire::Replay {
                organization_id: organization.to_string(),
                endpoint_id: endpoint.to_string(),
                since: since.as_millis(),
                after: after.map(|after| after.to_string()),
            },
        };
        // Strings and numbers always serialize.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`InvalidJob`] when it was not written by [`CallbackJob::to_json`].
    pub fn from_json(text: &str) -> Result<Self, InvalidJob> {
        let wire: Wire = serde_json::from_str(text).map_err(invalid)?;
        let organization = |text: &str| OrganizationId::parse(text).map_err(invalid);
        let endpoint = |text: &str| EndpointId::parse(text).map_err(invalid);
        let time = |millis| Timestamp::from_millis(millis).map_err(invalid);
        let delivery = |text: &str| DeliveryId::parse(text).map_err(invalid);
        Ok(match wire {
            Wire::First { organization_id, endpoint_id, event_id, event, time: at, store_id, body } => Self::First {
                organization: organization(&organization_id)?,
                endpoint: endpoint(&endpoint_id)?,
                event: FrozenEvent {
                    event_id,
                    event: EventType::parse(&event).ok_or_else(|| invalid("unknown event"))?,
                    time: time(at)?,
                    store: store_id.map(|store| StoreId::parse(&store).map_err(invalid)).transpose()?,
                    body,
                },
            },
            Wire::Again { organization_id, delivery_id } => {
                Self::Again { organization: organization(&organization_id)?, id: delivery(&delivery_id)? }
            }
            Wire::Replay { organization_id, endpoint_id, since, after } => Self::Replay {
                organization: organization(&organization_id)?,
                endpoint: endpoint(&endpoint_id)?,
                since: time(since)?,
                after: after.as_deref().map(delivery).transpose()?,
            },
        })
    }
}

fn invalid(reason: impl core::fmt::Display) -> InvalidJob {
    InvalidJob(reason.to_string())
}
