//! `GET /webhooks/{id}/deliveries`.

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Json, Response};
use evenstock_app::{CallbackStore, Listed};
use evenstock_domain::DeliveryState;
use evenstock_runtime::http::{ApiError, Caller, read_path};
use serde::Deserialize;

use crate::Shared;
use crate::endpoints::find;
use crate::wire::{CallbackDeliveryBody, DeliveriesBody};

/// Entries of one page. An entry of what arrived at once holds several deliveries.
const PAGE: u32 = 25;

/// Pages that are read for one of the answer's, when few of their deliveries are asked for.
const PAGES_MAX: u32 = 8;

#[derive(Debug, Deserialize)]
pub(crate) struct ListQuery {
    status: Option<String>,
    cursor: Option<String>,
}

/// Lists deliveries: first those that needed more than one try, the newest first; then the others, the latest first.
/// Pages differ in length, and may be empty before the end.
pub(crate) async fn list<S: CallbackStore, Q, P, K, C>(
    State(endpoints): Shared<S, Q, P, K, C>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|_| ApiError::bad_field("query", "cannot be read"))?;
    let status = query.status.as_deref().map(|text| {
        read_path("status", text, |text| DeliveryState::parse(text).ok_or("must be pending, succeeded or failed"))
    });
    let status = status.transpose()?;
    let endpoint = find(&endpoints, &caller.organization, &id).await?.id;
    let listing = format!("deliveries/{endpoint}");
    let (organization, cursors) = (&caller.organization, &endpoints.cursors);
    let cursor = query.cursor.as_deref().filter(|cursor| !cursor.is_empty());
    let after = cursor.map(|cursor| cursors.open_position::<String>(organization, &listing, cursor));
    let mut after = after.transpose().map_err(|error| ApiError::bad_field("cursor", error.to_string()))?;
    let mut items = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = endpoints.store.list_deliveries(organization, &endpoint, after.as_deref(), PAGE).await?;
        let logged = matches!(page.entries.last(), Some(Listed::Arrivals(_)));
        for entry in page.entries {
            match entry {
                Listed::Delivery(delivery) if status.is_none_or(|status| status == delivery.state) => {
                    items.push(CallbackDeliveryBody::stored(&delivery));
                }
                Listed::Arrivals(arrived) if status.is_none_or(|status| status == DeliveryState::Succeeded) => {
                    items.extend(arrived.iter().map(CallbackDeliveryBody::arrived));
                }
                Listed::Delivery(_) | Listed::Arrivals(_) => {}
            }
        }
        // Behind the first that arrived at once there is nothing else.
        let done = logged && status.is_some_and(|status| status != DeliveryState::Succeeded);
        after = page.next.filter(|_| !done);
        if after.is_none() || !items.is_empty() {
            break;
        }
    }
    let next_cursor = after.map(|after| cursors.seal_position(organization, &listing, &after)).unwrap_or_default();
    Ok(Json(DeliveriesBody { items, next_cursor }).into_response())
}
