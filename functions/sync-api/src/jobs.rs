//! Looking jobs up.

use axum::Extension;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Json;
use evenstock_app::{Clock, Queue};
use evenstock_domain::JobId;
use evenstock_runtime::SystemClock;
use evenstock_runtime::http::{ApiError, Caller};
use serde::Deserialize;

use crate::job_wire::{JobBody, JobListBody};
use crate::{OperationsStore, Shared};

/// Names the listing in its cursors.
const LISTING: &str = "jobs";

/// Rows of a page unless the caller asks for another number.
const LIMIT_DEFAULT: u32 = 20;

/// Rows of a page at most: a job can be large.
pub(crate) const LIMIT_MAX: u32 = 100;

#[derive(Debug, Deserialize)]
pub(crate) struct ListQuery {
    cursor: Option<String>,
    limit: Option<String>,
}

/// `GET /sync/status/{jobId}`.
pub(crate) async fn one<S: OperationsStore, Q: Queue>(
    State(operations): Shared<S, Q>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<JobBody>, ApiError> {
    let id = path.ok().and_then(|Path(id)| JobId::parse(&id).ok()).ok_or_else(unknown)?;
    let stored = operations.store.load_job(&caller.organization, &id).await?.ok_or_else(unknown)?;
    Ok(Json(JobBody::new(stored.job, SystemClock.now())))
}

fn unknown() -> ApiError {
    ApiError::not_found("there is no such job")
}

/// `GET /sync/jobs`: newest first.
pub(crate) async fn list<S: OperationsStore, Q: Queue>(
    State(operations): Shared<S, Q>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<JobListBody>, ApiError> {
    let Query(query) = query.map_err(|_| ApiError::bad_field("query", "cannot be read"))?;
    let limit = read_limit(query.limit.as_deref())?;
    let after = query.cursor.filter(|cursor| !cursor.is_empty()).map(|cursor| {
        let opened = operations.cursors.open_position::<String>(&caller.organization, LISTING, &cursor);
        opened.ok().and_then(|id| JobId::parse(&id).ok())
    });
    let after =
        after.map(|after| after.ok_or_else(|| ApiError::bad_field("cursor", "is not a cursor of this listing")));
    let page = operations.store.list_jobs(&caller.organization, after.transpose()?.as_ref(), limit).await?;
    let next = page.jobs.last().filter(|_| page.more).map(|job| job.id.as_str());
    let seal = |id| operations.cursors.seal_position(&caller.organization, LISTING, &id);
    let next_cursor = next.map(seal).unwrap_or_default();
    let now = SystemClock.now();
    let items = page.jobs.into_iter().map(|job| JobBody::new(job, now)).collect();
    Ok(Json(JobListBody { items, next_cursor }))
}

fn read_limit(limit: Option<&str>) -> Result<u32, ApiError> {
    let Some(limit) = limit else {
        return Ok(LIMIT_DEFAULT);
    };
    let number = limit.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    number.ok_or_else(|| ApiError::bad_field("limit", format!("must be a whole number from 1 to {LIMIT_MAX}")))
}
