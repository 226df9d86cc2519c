//! Asks marketplaces for what changed: by schedule when due, and at once when a message on `poll-jobs` says so.

mod config;

use aws_lambda_events::event::sqs::SqsEvent;
use evenstock_app::{
    BreakerStore, Clock, PollError, PollJob, PollOutcome, PollPlan, PollStore, PollTrigger, Poller, Queue, StockFeed,
    poll, with_causes,
};
use evenstock_runtime::{Batch, MissingMessageId, new_id};
use serde_json::{Value, json};
use tracing::{error, warn};

pub use config::{MarketplaceBPoll, marketplace_b};

/// What the function needs.
#[derive(Debug)]
pub struct Polls<S, Q, F, C> {
    /// Cursors and breakers.
    pub store: S,
    /// Where changes go.
    pub queue: Q,
    /// Time.
    pub clock: C,
    /// The marketplace and how it is polled; `None` when none is configured.
    pub marketplace: Option<(F, PollPlan)>,
}

/// Why an invocation failed, so that it is made again.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The event is neither a schedule's nor a queue's.
    #[error("the event is neither from a schedule nor from a queue")]
    UnknownEvent(#[source] Option<serde_json::Error>),
    /// A record cannot be named in the answer.
    #[error(transparent)]
    MissingMessageId(#[from] MissingMessageId),
    /// The poll could not do its work.
    #[error("the poll could not do its work")]
    Poll(#[from] PollError),
}

/// Handles a tick of the schedule or a batch of poll jobs; the answer is the queue's.
///
/// # Errors
/// [`HandleError`]. A failing marketplace is none: the next poll goes on from the cursor.
pub async fn handle<S, Q, F, C>(polls: &Polls<S, Q, F, C>, event: Value) -> Result<Value, HandleError>
where
    S: PollStore + BreakerStore,
    Q: Queue,
    F: StockFeed,
    C: Clock,
{
    if event.get("Records").is_some() {
        let event: SqsEvent = serde_json::from_value(event).map_err(|error| HandleError::UnknownEvent(Some(error)))?;
        return by_jobs(polls, event).await;
    }
    if event.get("source").and_then(Value::as_str) == Some("aws.events") {
        if let Some((feed, plan)) = &polls.marketplace {
            poll(&poller(polls, feed), plan, PollTrigger::Schedule, &new_id()).await?;
        }
        return Ok(json!({}));
    }
    Err(HandleError::UnknownEvent(None))
}

async fn by_jobs<S, Q, F, C>(polls: &Polls<S, Q, F, C>, event: SqsEvent) -> Result<Value, HandleError>
where
    S: PollStore + BreakerStore,
    Q: Queue,
    F: StockFeed,
    C: Clock,
{
    let mut batch = Batch::new(event)?;
    let mut failed = Vec::new();
    for (place, (message_id, body)) in batch.records().enumerate() {
        let job: PollJob = match serde_json::from_str(body) {
            Ok(job) => job,
            Err(reason) => {
                error!(message.id = message_id, %reason, "message {message_id} cannot be read and goes to the dead letters");
                failed.push(place);
                continue;
            }
        };
        let marketplace = polls.marketplace.as_ref().filter(|(_, plan)| plan.organization.as_str() == job.organization);
        let Some((feed, plan)) = marketplace else {
            error!(job.id = job.job_id, "job {} fails: its organization has no marketplace to poll", job.job_id);
            failed.push(place);
            continue;
        };
        match poll(&poller(polls, feed), plan, PollTrigger::Manual, &job.job_id).await {
            Ok(report) => report_job(&job, &report.outcome),
            Err(error) => {
                warn!(job.id = job.job_id, error = with_causes(&error), "job {} comes back", job.job_id);
                failed.push(place);
            }
        }
    }
    failed.into_iter().for_each(|place| batch.fail(place));
    Ok(json!(batch.into_response()))
}

/// A job whose poll was not made has failed, and asking again at once would not help: it is not delivered again.
fn report_job(job: &PollJob, outcome: &PollOutcome) {
    let reason = match outcome {
        PollOutcome::Completed | PollOutcome::Unfinished => return,
        PollOutcome::NotDue => "deferred",
        PollOutcome::BreakerOpen { .. } => "breaker_open",
        PollOutcome::Failed(_) => "marketplace_failed",
    };
    warn!(job.id = job.job_id, reason, "job {} failed: {reason}", job.job_id);
}

fn poller<'a, S, Q, F, C>(polls: &'a Polls<S, Q, F, C>, feed: &'a F) -> Poller<'a, S, Q, F, C> {
    Poller { store: &polls.store, queue: &polls.queue, feed, clock: &polls.clock }
}
