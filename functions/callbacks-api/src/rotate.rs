//! `POST /webhooks/{id}/rotate-secret`.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use evenstock_app::{
    AdminAction, AuditLog, CallbackStore, Clock, EndpointChange, IdempotencyStore, Sealed, Sealer, change_endpoint,
    secret_context,
};
use evenstock_domain::{Endpoint, OVERLAP_MS};
use evenstock_runtime::http::{ApiError, BoundRequest, Caller, answered, header_key};
use serde_json::json;

use crate::endpoints::find;
use crate::register::new_secret;
use crate::wire::SecretBody;
use crate::{Endpoints, Shared, sealing, unknown};

/// Puts a new secret in place and shows it; the one before signs too for a day.
///
/// The new secret is kept with the key before it is put in place: broken off in between, the same request puts the same
/// secret in place.
pub(crate) async fn rotate<S, Q, P, K, C>(
    State(endpoints): Shared<S, Q, P, K, C>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError>
where
    S: CallbackStore + IdempotencyStore + AuditLog,
    K: Sealer,
    C: Clock,
{
    let key = header_key(&headers)?;
    let known = find(&endpoints, &caller.organization, &id).await?;
    let Endpoints { store, sealer, clock, .. } = &*endpoints;
    let canonical = json!([format!("POST /webhooks/{}/rotate-secret", known.id)]);
    let bound = BoundRequest::bind(&**store, clock, &caller.organization, key, &canonical).await?;
    let (asks, about) = (caller.asks(&bound), known.target.clone());
    asks.write_down(&**store, &caller.organization, AdminAction::SecretRotated, known.id.as_str(), about).await?;
    let context = secret_context(&caller.organization, &known.id);
    let sealed = match bound.answer::<String>()? {
        Some(kept) => kept,
        None => {
            let fresh = sealer.seal(&context, &new_secret()?).await.map_err(sealing)?;
            bound.keep(&**store, clock, fresh.as_str().to_owned()).await?
        }
    };
    let at = bound.time;
    let change = |endpoint: &mut Endpoint| {
        // One that was put in place later stays.
        if endpoint.secrets.since <= at && endpoint.secrets.current != sealed {
            endpoint.secrets = endpoint.secrets.rotated(sealed.clone(), at);
        }
    };
    match change_endpoint(&**store, clock, &caller.organization, &known.id, change).await? {
        EndpointChange::Done(Some(_)) => {}
        EndpointChange::Done(None) | EndpointChange::Unknown | EndpointChange::Taken(_) => return Err(unknown()),
    }
    let secret = sealer.open(&context, &Sealed::from_stored(sealed.as_str())).await.map_err(sealing)?;
    let body = SecretBody {
        id: known.id.to_string(),
        secret: secret.expose().to_owned(),
        previous_until: at.plus_millis(OVERLAP_MS).to_string(),
    };
    Ok(answered(StatusCode::OK, body, bound.known))
}
