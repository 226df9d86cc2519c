//! Syncs on request: a poll, or everything.

use core::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use evenstock_app::{
    AdminAction, Clock, JobStore, MARKETPLACE_B, Queue, TriggerDeps, TriggerError, Warehouse, trigger_all, trigger_one,
};
use evenstock_domain::{Job, JobId, JobKind, JobPart, OrganizationId, Timestamp};
use evenstock_runtime::http::{ApiError, BoundRequest, Caller, answered, header_key};
use evenstock_runtime::{SystemClock, id_of};
use serde_json::{Value, json};

use crate::job_wire::{JobAnswer, JobIdBody, QueuedJobBody};
use crate::{Operations, OperationsStore, Shared};

/// How long `POST /api/sync` waits for its job, in milliseconds.
const PATIENCE_MS: i64 = 20_000;

/// Warehouses that one sync reconciles, at most.
const WAREHOUSES_MAX: u32 = 100;

/// What a sync of everything is about, in the audit log.
const EVERYTHING: &str = "everything";

/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(250);

/// What of `POST` requests is read: nothing, but a key stands for the whole request.
type Sent = Result<Bytes, BytesRejection>;

/// Binds a request to its key.
async fn bound<S: OperationsStore, Q>(
    operations: &Operations<S, Q>,
    caller: &Caller,
    headers: &HeaderMap,
    path: &str,
    body: Sent,
) -> Result<BoundRequest, ApiError> {
    let body = body.map_err(|_| ApiError::too_large())?;
    let key = header_key(headers)?;
    let sent = serde_json::from_slice(&body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body)));
    let canonical = json!([format!("POST {path}"), sent]);
    BoundRequest::bind(&*operations.store, &SystemClock, &caller.organization, key, &canonical).await
}

/// The job that a request asks for: the same for every repetition. A crash before the answer is kept costs no other job.
pub(crate) fn job_id(request: &BoundRequest, part: &str) -> Result<JobId, ApiError> {
    let id = id_of(request.time, &format!("{}{part}", request.id()));
    JobId::parse(&format!("sync-{id}")).map_err(ApiError::internal)
}

/// `POST /trigger-poll`.
pub(crate) async fn poll<S: OperationsStore, Q: Queue>(
    State(operations): Shared<S, Q>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Sent,
) -> Result<Response, ApiError> {
    let organization = caller.organization.clone();
    let request = bound(&operations, &caller, &headers, "/trigger-poll", body).await?;
    let answer = |job: JobIdBody| JobAnswer { data: job, ..JobAnswer::new("poll queued", String::new()) };
    if let Some(job) = request.answer::<JobIdBody>()? {
        return Ok(answered(StatusCode::ACCEPTED, answer(job), true));
    }
    if operations.polled.as_ref() != Some(&organization) {
        return Err(ApiError::not_configured("no marketplace is configured that can be polled"));
    }
    let asks = caller.asks(&request);
    let about = String::new();
    asks.write_down(&*operations.store, &organization, AdminAction::SyncTriggered, MARKETPLACE_B, about).await?;
    let id = job_id(&request, "")?;
    let job = Job::queued(organization, id, JobKind::Poll, MARKETPLACE_B, SystemClock.now());
    let job = trigger_one(deps(&operations), &job).await.map_err(failed)?.job;
    let job = JobIdBody { job_id: job.id.to_string() };
    let job = request.keep(&*operations.store, &SystemClock, job).await?;
    Ok(answered(StatusCode::ACCEPTED, answer(job), false))
}

/// `POST /sync/trigger`.
pub(crate) async fn all<S: OperationsStore, Q: Queue>(
    State(operations): Shared<S, Q>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Sent,
) -> Result<Response, ApiError> {
    let request = bound(&operations, &caller, &headers, "/sync/trigger", body).await?;
    if let Some(job) = request.answer::<QueuedJobBody>()? {
        return Ok(answered(StatusCode::ACCEPTED, job, true));
    }
    let job = started(&operations, &caller, &request).await?;
    let job = QueuedJobBody { job_id: job.id.to_string(), status: job.status.as_str().to_owned() };
    let job = request.keep(&*operations.store, &SystemClock, job).await?;
    Ok(answered(StatusCode::ACCEPTED, job, false))
}

/// `POST /api/sync`: the same, and waits for the end.
pub(crate) async fn and_wait<S: OperationsStore, Q: Queue>(
    State(operations): Shared<S, Q>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Sent,
) -> Result<Response, ApiError> {
    let begun = SystemClock.now();
    let request = bound(&operations, &caller, &headers, "/api/sync", body).await?;
    let (job, replayed) = match request.answer::<JobIdBody>()? {
        Some(job) => (job, true),
        None => {
            let job = started(&operations, &caller, &request).await?;
            let job = JobIdBody { job_id: job.id.to_string() };
            (request.keep(&*operations.store, &SystemClock, job).await?, false)
        }
    };
    let id = JobId::parse(&job.job_id).map_err(ApiError::internal)?;
    let ended = wait(&*operations.store, &caller.organization, &id, begun.plus_millis(PATIENCE_MS)).await?;
    let (status, message) = match ended.as_ref().map(|job| job.failure().map(str::to_owned)) {
        Some(None) => (StatusCode::OK, "sync completed".to_owned()),
        Some(Some(reason)) => (StatusCode::OK, format!("sync failed: {reason}")),
        None => (StatusCode::ACCEPTED, "sync goes on".to_owned()),
    };
    let success = ended.is_none_or(|job| job.failure().is_none());
    Ok(answered(status, JobAnswer { success, message, data: job }, replayed))
}

/// The job once it has ended; `None` when it has not by `until`.
async fn wait<S: JobStore>(
    store: &S,
    organization: &OrganizationId,
    id: &JobId,
    until: Timestamp,
) -> Result<Option<Job>, ApiError> {
    loop {
        let now = SystemClock.now();
        let job = store.load_job(organization, id).await?.map(|stored| stored.job.as_of(now));
        if let Some(ended) = job.filter(Job::is_ended) {
            return Ok(Some(ended));
        }
        if now >= until {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Sets everything going that the organization has.
async fn started<S: OperationsStore, Q: Queue>(
    operations: &Operations<S, Q>,
    caller: &Caller,
    request: &BoundRequest,
) -> Result<Job, ApiError> {
    let organization = &caller.organization;
    let (asks, about) = (caller.asks(request), String::new());
    asks.write_down(&*operations.store, organization, AdminAction::SyncTriggered, EVERYTHING, about).await?;
    let mut parts = Vec::new();
    if operations.polled.as_ref() == Some(organization) {
        let subject = MARKETPLACE_B.to_owned();
        parts.push(JobPart { id: job_id(request, "/poll")?, kind: JobKind::Poll, subject });
    }
    parts.push(JobPart { id: job_id(request, "/stores")?, kind: JobKind::Stores, subject: String::new() });
    parts.extend(warehouses(operations, organization, request).await?);
    let id = job_id(request, "")?;
    Ok(trigger_all(deps(operations), organization, id, parts).await.map_err(failed)?.job)
}

/// A part for each of the organization's warehouses, as many as one job can wait for.
async fn warehouses<S: OperationsStore, Q: Queue>(
    operations: &Operations<S, Q>,
    organization: &OrganizationId,
    request: &BoundRequest,
) -> Result<Vec<JobPart>, ApiError> {
    let page = operations.store.warehouses_of(organization, None, WAREHOUSES_MAX).await?;
    if page.more {
        tracing::warn!(organization.id = %organization, "more warehouses than one sync can reconcile: {WAREHOUSES_MAX}");
    }
    let part = |warehouse: Warehouse| {
        let subject = warehouse.id.to_string();
        Ok(JobPart { id: job_id(request, &format!("/warehouse/{subject}"))?, kind: JobKind::Warehouse, subject })
    };
    page.warehouses.into_iter().map(part).collect()
}

fn deps<S, Q>(operations: &Operations<S, Q>) -> TriggerDeps<'_, S, Q, SystemClock> {
    TriggerDeps { store: &operations.store, queue: &operations.queue, clock: &SystemClock }
}

fn failed(error: TriggerError) -> ApiError {
    match error {
        TriggerError::Store(error) => error.into(),
        TriggerError::Queue(error) => error.into(),
    }
}
