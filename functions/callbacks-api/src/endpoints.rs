//! Endpoints as they are: list, read, change, remove.

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use evenstock_app::{
    CallbackSender, CallbackStore, Clock, EndpointChange, change_endpoint, remove_endpoint, reset_health,
};
use evenstock_domain::{Disabled, DisabledReason, Endpoint, OrganizationId};
use evenstock_runtime::http::{ApiError, Caller, Fields, JsonBody, read_path};
use serde::Deserialize;

use crate::register::checked;
use crate::wire::{EndpointBody, read_event, read_schedule};
use crate::{Endpoints, Shared, endpoint_id, organization_of, unknown};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListQuery {
    organization_id: Option<String>,
}

/// `GET /webhooks`: all endpoints of an organization.
pub(crate) async fn list<S: CallbackStore, Q, P, K, C>(
    State(endpoints): Shared<S, Q, P, K, C>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|_| ApiError::bad_field("query", "cannot be read"))?;
    let named = query.organization_id.as_deref();
    let organization = match named.map(|named| read_path("organizationId", named, OrganizationId::parse)).transpose()? {
        Some(named) => organization_of(&caller, &named)?,
        None => caller.organization,
    };
    let (_, registry) = endpoints.store.load_registry(&organization).await?;
    let body: Vec<_> = registry.endpoints.iter().map(|endpoint| EndpointBody::new(&organization, endpoint)).collect();
    Ok(Json(body).into_response())
}

/// An organization's endpoint.
pub(crate) async fn find<S: CallbackStore, Q, P, K, C>(
    endpoints: &Endpoints<S, Q, P, K, C>,
    organization: &OrganizationId,
    id: &str,
) -> Result<Endpoint, ApiError> {
    let id = endpoint_id(id)?;
    let (_, registry) = endpoints.store.load_registry(organization).await?;
    registry.find(&id).cloned().ok_or_else(unknown)
}

/// `GET /webhooks/{id}`.
pub(crate) async fn read<S: CallbackStore, Q, P, K, C>(
    State(endpoints): Shared<S, Q, P, K, C>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let endpoint = find(&endpoints, &caller.organization, &id).await?;
    Ok(Json(EndpointBody::new(&caller.organization, &endpoint)).into_response())
}

/// `PATCH /webhooks/{id}`: changes what is named. `retrySchedule: null` takes the deployment's again.
pub(crate) async fn change<S, Q, P, K, C>(
    State(endpoints): Shared<S, Q, P, K, C>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    JsonBody(object): JsonBody,
) -> Result<Response, ApiError>
where
    S: CallbackStore,
    P: CallbackSender,
    C: Clock,
{
    let mut fields = Fields::of(&object);
    let event = fields.optional("event", |fields, name| fields.text(name, read_event));
    let target = fields.optional("targetUrl", |fields, name| fields.text(name, |text| Ok::<_, &str>(text.to_owned())));
    let active = fields.optional("isActive", |fields, name| fields.flag(name));
    let named = fields.names("retrySchedule");
    let schedule = fields.optional("retrySchedule", read_schedule);
    if let Err(issue) = checked(&endpoints.sender, target.as_ref().and_then(Option::as_deref)).await {
        fields.refuse::<()>("targetUrl", issue);
    }
    let (event, target, active, schedule) = fields.finish((event, target, active, schedule))?;
    let known = find(&endpoints, &caller.organization, &id).await?;
    let Endpoints { store, clock, .. } = &*endpoints;
    let enabled = active == Some(true) && !known.is_active();
    let moved = target.as_ref().is_some_and(|target| *target != known.target);
    if enabled || moved {
        // What it did before it was disabled, or at another address, must not count against it: neither the days that it
        // failed nor the pause that it asked for.
        reset_health(&**store, clock, &caller.organization, &known.id).await?;
    }
    let now = clock.now();
    let change = |endpoint: &mut Endpoint| {
        endpoint.event = event.unwrap_or(endpoint.event);
        if let Some(target) = &target {
            endpoint.target.clone_from(target);
        }
        if named {
            endpoint.schedule.clone_from(&schedule);
        }
        match active {
            Some(true) => endpoint.disabled = None,
            Some(false) => {
                endpoint.disabled.get_or_insert(Disabled { reason: DisabledReason::Owner, at: now });
            }
            None => {}
        }
    };
    match change_endpoint(&**store, clock, &caller.organization, &known.id, change).await? {
        EndpointChange::Done(Some(endpoint)) => {
            Ok(Json(EndpointBody::new(&caller.organization, &endpoint)).into_response())
        }
        EndpointChange::Done(None) | EndpointChange::Unknown => Err(unknown()),
        EndpointChange::Taken(other) => {
            Err(ApiError::conflict(format!("the endpoint {other} has the same event and URL"), None))
        }
    }
}

/// `DELETE /webhooks/{id}`.
pub(crate) async fn remove<S: CallbackStore, Q, P, K, C: Clock>(
    State(endpoints): Shared<S, Q, P, K, C>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let known = find(&endpoints, &caller.organization, &id).await?;
    // Whoever removed it meanwhile wanted the same.
    remove_endpoint(&*endpoints.store, &endpoints.clock, &caller.organization, &known.id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
