//! `GET /admin/audit`: what administrators did, newest first.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Json;
use evenstock_app::{AuditEntry, AuditLog, AuditPosition};
use evenstock_domain::Timestamp;
use evenstock_runtime::http::{ApiError, Caller};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Administration;
use crate::page::{PageQuery, asked};

/// Keeps these cursors apart from those of other listings.
const LISTING: &str = "audit";

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditBody {
    items: Vec<AuditItemBody>,
    /// Empty at the end.
    next_cursor: String,
}

/// What an administrator did. It is written down first: when the doing failed, the entry stands all the same.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditItemBody {
    /// Names the operation.
    id: String,
    at: String,
    /// Such as `key.created`, `secret.rotated`, `conflict.resolved`; docs/data-model.md lists them.
    action: &'static str,
    /// Id of the key that asked.
    actor: String,
    organization_id: String,
    /// Id of what it was done to.
    target: String,
    /// For people.
    about: String,
}

impl From<AuditEntry> for AuditItemBody {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at.to_string(),
            action: entry.action.as_str(),
            actor: entry.actor,
            organization_id: entry.organization.to_string(),
            target: entry.target,
            about: entry.about,
        }
    }
}

pub(crate) async fn list<S: AuditLog, C, E>(
    State(administration): State<Arc<Administration<S, C, E>>>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<AuditBody>, ApiError> {
    let Administration { store, cursors, .. } = &*administration;
    let organization = &caller.organization;
    let (after, limit) = asked::<(i64, String)>(query, cursors, organization, LISTING)?;
    let after = after.map(|(millis, id)| Ok(AuditPosition { at: Timestamp::from_millis(millis)?, id }));
    let after = after
        .transpose()
        .map_err(|error: evenstock_domain::InvalidTime| ApiError::bad_field("cursor", error.to_string()))?;
    let page = store.audit(organization, after.as_ref(), limit).await?;
    let next = page.next.map(|next| cursors.seal_position(organization, LISTING, &(next.at.as_millis(), next.id)));
    let items = page.entries.into_iter().map(AuditItemBody::from).collect();
    Ok(Json(AuditBody { items, next_cursor: next.unwrap_or_default() }))
}
