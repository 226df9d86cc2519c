//! `POST /webhooks/register`.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use evenstock_app::{
    CallbackSender, CallbackStore, Clock, IdempotencyStore, InvalidTarget, Queue, Registration, Sealed, Sealer,
    register_endpoint, secret_context,
};
use evenstock_channels::SigningKey;
use evenstock_domain::{ENDPOINTS_MAX, Endpoint, EndpointId, OrganizationId, Secrets};
use evenstock_runtime::http::{ApiError, BoundRequest, Caller, Fields, JsonBody, answered, header_key};
use evenstock_runtime::random_bytes;
use serde_json::json;

use crate::wire::{EndpointBody, RegisteredEndpointBody, read_event, read_schedule};
use crate::{Endpoints, Shared, organization_of, sealing};

/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Registers an endpoint. The same event and URL are the same endpoint; its secret is shown to whoever registered it,
/// and once.
pub(crate) async fn register<S, Q, P, K, C>(
    State(endpoints): Shared<S, Q, P, K, C>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody(object): JsonBody,
) -> Result<Response, ApiError>
where
    S: CallbackStore + IdempotencyStore,
    Q: Queue,
    P: CallbackSender,
    K: Sealer,
    C: Clock,
{
    let key = header_key(&headers)?;
    let mut fields = Fields::of(&object);
    let organization = fields.text("organizationId", OrganizationId::parse);
    let event = fields.text("event", read_event);
    let target = fields.text("targetUrl", |text| Ok::<_, &str>(text.to_owned()));
    let schedule = fields.optional("retrySchedule", read_schedule);
    if let Some(target) = &target
        && let Err(issue) = endpoints.sender.check(target).await
    {
        fields.refuse::<()>("targetUrl", issue);
    }
    let (organization, event, target, schedule) = fields.finish((organization, event, target, schedule))?;
    let organization = organization_of(&caller, &organization)?;
    let waits: Option<Vec<_>> = schedule.as_ref().map(|schedule| schedule.waits().collect());
    let canonical = json!(["POST /webhooks/register", organization.as_str(), event.as_str(), target, waits]);
    let Endpoints { store, sealer, clock, .. } = &*endpoints;
    let bound = BoundRequest::bind(&**store, clock, &caller.organization, key, &canonical).await?;
    let answer_context = format!("answer/{}/{}", caller.organization, bound.id());
    if let Some(kept) = bound.answer::<String>()? {
        return shown(sealer, &answer_context, &kept, true).await;
    }
    let id = EndpointId::parse(&bound.id()).map_err(ApiError::internal)?;
    let context = secret_context(&organization, &id);
    let sealed = sealer.seal(&context, &new_secret()?).await.map_err(sealing)?;
    let secrets = Secrets::new(sealed.as_str().to_owned(), bound.time);
    let fresh = Endpoint { id, event, target, disabled: None, schedule, secrets, created_at: bound.time };
    let (endpoint, new) = match register_endpoint(&**store, clock, &organization, fresh).await? {
        Registration::New(endpoint) => (endpoint, true),
        Registration::Existing(endpoint) => (endpoint, false),
        Registration::Full => {
            let message = format!("an organization has at most {ENDPOINTS_MAX} endpoints");
            return Err(ApiError::unprocessable(message, None));
        }
    };
    // The one that is stored: a twin under the same key may have been faster.
    let stored = Sealed::from_stored(endpoint.secrets.current.clone());
    let secret = if new { Some(sealer.open(&context, &stored).await.map_err(sealing)?) } else { None };
    let body = RegisteredEndpointBody {
        endpoint: EndpointBody::new(&organization, &endpoint),
        secret: secret.map(|secret| secret.expose().to_owned()),
    };
    let text = serde_json::to_string(&body).map_err(ApiError::internal)?;
    let sealed = sealer.seal(&answer_context, &text).await.map_err(sealing)?;
    let kept = bound.keep(&**store, clock, sealed.as_str().to_owned()).await?;
    shown(sealer, &answer_context, &kept, bound.known).await
}

/// A new secret, as its owner is shown it.
pub(crate) fn new_secret() -> Result<String, ApiError> {
    let bytes = random_bytes::<SECRET_BYTES>().ok_or_else(|| ApiError::internal(NoRandomness))?;
    Ok(SigningKey::text_of(&bytes))
}

/// The system has no randomness to give.
#[derive(Debug)]
struct NoRandomness;

impl core::fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the system has no randomness to give")
    }
}

impl core::error::Error for NoRandomness {}

async fn shown<K: Sealer>(sealer: &K, context: &str, kept: &str, replayed: bool) -> Result<Response, ApiError> {
    let opened = sealer.open(context, &Sealed::from_stored(kept)).await.map_err(sealing)?;
    let body: RegisteredEndpointBody = serde_json::from_str(opened.expose()).map_err(ApiError::internal)?;
    Ok(answered(StatusCode::OK, body, replayed))
}

/// Checks a new target, as a field's issue.
pub(crate) async fn checked<P: CallbackSender>(sender: &P, target: Option<&str>) -> Result<(), InvalidTarget> {
    match target {
        Some(target) => sender.check(target).await,
        None => Ok(()),
    }
}
