//! `GET /replication/changes`: what stands in the feed behind an offset, waited for if there is nothing yet.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Json;
use evenstock_app::{Behind, Clock, FeedEventBody, FeedStore, StockStore, StoreError, changes_behind};
use evenstock_domain::{OrganizationId, Timestamp};
use evenstock_runtime::http::{ApiError, Caller, FieldIssue};
use lambda_http::Context;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;

use crate::Replication;

/// Changes of an answer unless the caller asks for another number.
const LIMIT_DEFAULT: u32 = 500;

/// Changes of an answer at most: with the longest names about 1 MB, where Lambda takes 6.
pub(crate) const LIMIT_MAX: u32 = 1000;

/// The longest wait: API Gateway gives up after 30 seconds.
pub(crate) const LONG_POLL_SECONDS_MAX: u32 = 20;

/// How long before Lambda ends the function a wait is over, in milliseconds.
const ANSWER_MS: i64 = 1000;

/// Time between two tries of a reader that may wait.
const AGAIN: Duration = Duration::from_millis(250);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangesQuery {
    from_offset: Option<String>,
    limit: Option<String>,
    long_poll_seconds: Option<String>,
}

/// Changes in order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangesBody {
    events: Vec<FeedEventBody>,
    /// The `fromOffset` of the next question.
    next_offset: u64,
    /// Whether more is there already.
    has_more: bool,
}

/// What a caller asks for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    offset: u64,
    limit: usize,
    wait: Duration,
}

impl Asked {
    /// Reads all parameters and names all that are wrong.
    fn read(query: &ChangesQuery) -> Result<Self, ApiError> {
        let mut issues = Vec::new();
        let mut refuse = |field: &str, issue: String| issues.push(FieldIssue { field: field.to_owned(), issue });
        let offset = match query.from_offset.as_deref().map(str::parse::<u64>) {
            Some(Ok(offset)) => offset,
            Some(Err(_)) => {
                refuse("fromOffset", "must be a whole number, 0 or more".to_owned());
                0
            }
            None => {
                refuse("fromOffset", "is required".to_owned());
                0
            }
        };
        let mut number = |field: &str, text: Option<&str>, default: u32, (least, most): (u32, u32)| {
            let number = text.map_or(Some(default), |text| text.parse().ok());
            number.filter(|number| (least..=most).contains(number)).unwrap_or_else(|| {
                refuse(field, format!("must be a whole number from {least} to {most}"));
                default
            })
        };
        let limit = number("limit", query.limit.as_deref(), LIMIT_DEFAULT, (1, LIMIT_MAX));
        let wait = number("longPollSeconds", query.long_poll_seconds.as_deref(), 0, (0, LONG_POLL_SECONDS_MAX));
        if !issues.is_empty() {
            return Err(ApiError::bad_request(issues));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(Self { offset, limit, wait: Duration::from_secs(u64::from(wait)) })
    }
}

pub(crate) async fn show<S, C>(
    State(replication): State<Arc<Replication<S, C>>>,
    Extension(caller): Extension<Caller>,
    lambda: Option<Extension<Context>>,
    query: Result<Query<ChangesQuery>, QueryRejection>,
) -> Result<Json<ChangesBody>, ApiError>
where
    S: StockStore + FeedStore,
    C: Clock,
{
    let Query(query) = query.map_err(|rejection| ApiError::bad_field("query", rejection.body_text()))?;
    let asked = Asked::read(&query)?;
    let Replication { store, clock, watch, .. } = &*replication;
    let deadline = Instant::now() + asked.wait.min(time_left(lambda.map(|Extension(context)| context), clock.now()));
    let organization = &caller.organization;
    let mut found = look(&**store, clock, organization, asked, deadline).await?;
    if matches!(&found, Behind::Events { events, .. } if events.is_empty()) && Instant::now() < deadline {
        watch.wait(&**store, clock, organization, asked.offset, deadline).await?;
        found = look(&**store, clock, organization, asked, deadline).await?;
    }
    match found {
        Behind::Events { events, head } => {
            let next_offset = events.last().map_or(asked.offset, |event| event.seq);
            let has_more = next_offset < head;
            Ok(Json(ChangesBody { events: events.iter().map(FeedEventBody::from).collect(), next_offset, has_more }))
        }
        Behind::Ahead => Err(ApiError::bad_field("fromOffset", "is ahead of the newest change")),
        Behind::Gone => {
            Err(ApiError::gone("changes behind this offset are no longer kept; begin anew with a snapshot"))
        }
    }
}

/// Reads what stands behind an offset. A reader that has time is not turned away for what passes meanwhile: when many who
/// waited are woken at once, they all come to the store at once.
async fn look<S: FeedStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    asked: Asked,
    deadline: Instant,
) -> Result<Behind, StoreError> {
    loop {
        match changes_behind(store, organization, asked.offset, asked.limit, clock.now()).await {
            Err(error) if error.is_passing() && Instant::now() < deadline => sleep(AGAIN).await,
            found => return found,
        }
    }
}

/// How long a wait may last before Lambda ends the function.
fn time_left(lambda: Option<Context>, now: Timestamp) -> Duration {
    let Some(deadline) = lambda.and_then(|context| i64::try_from(context.deadline).ok()).filter(|at| *at > 0) else {
        return Duration::MAX;
    };
    let left = deadline.saturating_sub(now.as_millis()).saturating_sub(ANSWER_MS);
    Duration::from_millis(u64::try_from(left).unwrap_or_default())
}
