//! What callers send and see. Kept apart from the domain, whose types may change.

use evenstock_app::Arrival;
use evenstock_domain::{Attempt, Delivery, Endpoint, EventType, OrganizationId, RetrySchedule, Subscription};
use evenstock_runtime::http::Fields;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// An endpoint.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointBody {
    id: String,
    organization_id: String,
    /// An event's name, or `*`.
    event: String,
    target_url: String,
    is_active: bool,
    /// Waits between tries; absent: those of the deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_schedule: Option<Vec<String>>,
    created_at: String,
    /// `owner`, `gone` or `failing`; absent while it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_at: Option<String>,
}

impl EndpointBody {
    pub(crate) fn new(organization: &OrganizationId, endpoint: &Endpoint) -> Self {
        Self {
            id: endpoint.id.to_string(),
            organization_id: organization.to_string(),
            event: endpoint.event.as_str().to_owned(),
            target_url: endpoint.target.clone(),
            is_active: endpoint.is_active(),
            retry_schedule: endpoint.schedule.as_ref().map(|schedule| schedule.waits().collect()),
            created_at: endpoint.created_at.to_string(),
            disabled_reason: endpoint.disabled.map(|disabled| disabled.reason.as_str().to_owned()),
            disabled_at: endpoint.disabled.map(|disabled| disabled.at.to_string()),
        }
    }
}

/// An endpoint as it was registered.
// Without `Debug`, because it shows a secret.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RegisteredEndpointBody {
    #[serde(flatten)]
    pub(crate) endpoint: EndpointBody,
    /// What signs its callbacks. Shown once, to whoever registered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<String>,
}

/// A new secret.
// Without `Debug`, because it shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecretBody {
    pub(crate) id: String,
    /// Shown once.
    pub(crate) secret: String,
    /// Until then the secret before it signs too.
    pub(crate) previous_until: String,
}

/// What will be delivered.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueuedBody {
    /// Deliveries that were queued.
    pub(crate) queued: usize,
    /// Whether more of them follow by themselves.
    pub(crate) more: bool,
}

/// One try.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttemptBody {
    at: String,
    /// `null` when there was no answer.
    #[schema(required = true)]
    status_code: Option<u16>,
    duration_ms: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The first kilobyte of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<String>,
}

impl AttemptBody {
    fn new(attempt: &Attempt) -> Self {
        Self {
            at: attempt.at.to_string(),
            status_code: attempt.status_code,
            duration_ms: attempt.duration_ms,
            error: attempt.error.clone(),
            response: attempt.response.clone(),
        }
    }
}

/// A delivery.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallbackDeliveryBody {
    id: String,
    event_id: String,
    event: String,
    /// `pending`, `succeeded` or `failed`.
    status: String,
    attempts: Vec<AttemptBody>,
    /// `null` when it will not be tried any more.
    #[schema(required = true)]
    next_attempt_at: Option<String>,
}

impl CallbackDeliveryBody {
    pub(crate) fn stored(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            event_id: delivery.event_id.clone(),
            event: delivery.event.as_str().to_owned(),
            status: delivery.state.as_str().to_owned(),
            attempts: delivery.attempts.iter().map(AttemptBody::new).collect(),
            next_attempt_at: delivery.next_attempt_at.map(|next| next.to_string()),
        }
    }

    pub(crate) fn arrived(arrival: &Arrival) -> Self {
        Self {
            id: arrival.id.to_string(),
            event_id: arrival.event_id.clone(),
            event: arrival.event.as_str().to_owned(),
            status: "succeeded".to_owned(),
            attempts: vec![AttemptBody::new(&arrival.attempt)],
            next_attempt_at: None,
        }
    }
}

/// A page of deliveries.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveriesBody {
    pub(crate) items: Vec<CallbackDeliveryBody>,
    /// Empty at the end.
    pub(crate) next_cursor: String,
}

/// A new endpoint.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({
    "organizationId": "demo", "event": "stock.low", "targetUrl": "https://example.com/hook", "retrySchedule": ["5s", "5m"],
}))]
#[expect(dead_code, reason = "this type describes; the handler reads the body field by field")]
pub(crate) struct EndpointRequest {
    #[schema(min_length = 1, max_length = 128)]
    organization_id: String,
    /// An event's name, or `*`.
    event: String,
    #[schema(max_length = 2048)]
    target_url: String,
    /// Waits after the first try, after the second, and so on, each from `1s` to `24h`.
    #[schema(max_items = 20)]
    retry_schedule: Option<Vec<String>>,
}

/// What to change of an endpoint.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "event": "*", "isActive": true }))]
#[expect(dead_code, reason = "this type describes; the handler reads the body field by field")]
pub(crate) struct ChangeRequest {
    event: Option<String>,
    #[schema(max_length = 2048)]
    target_url: Option<String>,
    is_active: Option<bool>,
    #[schema(max_items = 20)]
    retry_schedule: Option<Vec<String>>,
}

/// From when on to deliver again what failed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "since": "2026-11-20T00:00:00Z" }))]
#[expect(dead_code, reason = "this type describes; the handler reads the body field by field")]
pub(crate) struct ReplayRequest {
    /// The time of the oldest event.
    since: String,
}

pub(crate) fn read_event(text: &str) -> Result<Subscription, String> {
    Subscription::parse(text).ok_or_else(|| {
        let names: Vec<_> = EventType::ALL.iter().map(|event| event.as_str()).collect();
        format!("must be one of {} or *", names.join(", "))
    })
}

pub(crate) fn read_schedule(fields: &mut Fields<'_>, name: &str) -> Option<RetrySchedule> {
    let waits: Option<Vec<&str>> = fields.list(name)?.iter().map(Value::as_str).collect();
    match waits.map(RetrySchedule::from_waits) {
        Some(Ok(schedule)) => Some(schedule),
        Some(Err(issue)) => fields.refuse(name, issue),
        None => fields.refuse(name, "must hold waits such as 5s, 30m or 2h"),
    }
}
