//! Whether we are alive, ready, and whole.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use evenstock_app::{CENTRAL_SOURCE, Clock, MARKETPLACE_B, Queue, QueueName, StoreError, with_causes};
use evenstock_domain::{Breaker, Source, Timestamp};
use evenstock_runtime::SystemClock;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Operations, OperationsStore, Shared};

/// The parts that answer, and what waits for them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthBody {
    success: bool,
    data: Health,
}

/// How we are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    status: &'static str,
    timestamp: String,
    queue: QueueBody,
}

/// Messages of a queue: estimates.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueueBody {
    pub(crate) waiting: u64,
    pub(crate) in_flight: u64,
    /// Given up; somebody must look.
    pub(crate) dead: u64,
}

/// A part that does not answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnhealthyBody {
    success: bool,
    error: String,
}

/// The process runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AliveBody {
    status: &'static str,
    /// Seconds since this process started.
    uptime: i64,
    timestamp: String,
}

/// Whether requests can be served.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadyBody {
    ready: bool,
    timestamp: String,
    /// `closed`, `open` or `half-open`, by marketplace. An open one does not make us unready.
    breakers: BTreeMap<String, &'static str>,
    /// Stock changes that wait; `null` when the queue does not answer.
    queue_depth: Option<u64>,
}

/// `GET /health`.
pub(crate) async fn parts<S: OperationsStore, Q: Queue>(State(operations): Shared<S, Q>) -> Response {
    let store = operations.store.ping().await.map_err(|error| ("store", with_causes(&error)));
    let queue = operations.queue.depth(QueueName::StockChanges).await.map_err(|error| ("queue", with_causes(&error)));
    match (store, queue) {
        (Ok(()), Ok(depth)) => {
            let queue = QueueBody { waiting: depth.waiting, in_flight: depth.in_flight, dead: depth.dead };
            let data = Health { status: "healthy", timestamp: SystemClock.now().to_string(), queue };
            Json(HealthBody { success: true, data }).into_response()
        }
        (Err((part, reason)), _) | (_, Err((part, reason))) => {
            tracing::error!(part, reason, "health check: the {part} does not answer");
            let body = UnhealthyBody { success: false, error: format!("the {part} does not answer") };
            (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")], Json(body)).into_response()
        }
    }
}

/// `GET /api/health`, `GET /api/health/liveness`: asks nobody.
pub(crate) async fn alive<S: OperationsStore, Q: Queue>(State(operations): Shared<S, Q>) -> Json<AliveBody> {
    let now = SystemClock.now();
    Json(AliveBody { status: "ok", uptime: operations.settings.uptime_s(now), timestamp: now.to_string() })
}

/// `GET /api/health/readiness`.
pub(crate) async fn ready<S: OperationsStore, Q: Queue>(State(operations): Shared<S, Q>) -> Response {
    let now = SystemClock.now();
    let store = operations.store.ping().await;
    let breakers = breakers(&operations).await;
    let depth = operations.queue.depth(QueueName::StockChanges).await;
    let ready = store.is_ok() && breakers.is_ok() && depth.is_ok();
    if let Err(error) = &depth {
        tracing::error!(error = with_causes(error), "readiness: the queue does not answer");
    }
    if let Some(error) = store.err().as_ref().or_else(|| breakers.as_ref().err()) {
        tracing::error!(error = with_causes(error), "readiness: the store does not answer");
    }
    let breakers = breakers.unwrap_or_default().into_iter().map(|(name, breaker)| (name, state(&breaker, now)));
    let queue_depth = depth.ok().map(|depth| depth.waiting);
    let body = ReadyBody { ready, timestamp: now.to_string(), breakers: breakers.collect(), queue_depth };
    if ready {
        Json(body).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")], Json(body)).into_response()
    }
}

/// The breakers of the marketplaces that are set up, and of the central system: those that name nobody's store, so that
/// whoever has no key may see them.
pub(crate) async fn breakers<S: OperationsStore, Q>(
    operations: &Operations<S, Q>,
) -> Result<BTreeMap<String, Breaker>, StoreError> {
    let mut breakers = BTreeMap::new();
    let central = Source::parse(CENTRAL_SOURCE).ok().filter(|_| operations.settings.pushes);
    for source in sources(operations).into_iter().chain(central) {
        let (_, breaker) = operations.store.load_breaker(&source).await?;
        breakers.insert(source.to_string(), breaker);
    }
    Ok(breakers)
}

/// The marketplaces that are polled.
pub(crate) fn sources<S, Q>(operations: &Operations<S, Q>) -> Vec<Source> {
    operations.polled.iter().filter_map(|_| Source::parse(MARKETPLACE_B).ok()).collect()
}

/// A breaker's state in a word.
pub(crate) fn state(breaker: &Breaker, now: Timestamp) -> &'static str {
    match breaker.open_until {
        None => "closed",
        Some(until) if now < until => "open",
        Some(_) => "half-open",
    }
}
