//! Asks marketplaces for what changed: by schedule when due and switched on, and at once when a message on `poll-jobs`
//! says so; then its job is told how it went.

mod config;

use aws_lambda_events::event::sqs::SqsEvent;
use evenstock_app::{
    BreakerStore, Clock, JobStore, PollError, PollJob, PollOutcome, PollPlan, PollReport, PollStore, PollTrigger,
    Poller, Queue, StockFeed, StoreError, SwitchStore, Turn, begin_job, finish_job, poll, with_causes,
};
use evenstock_domain::{JobCounters, JobId, JobReport};
use evenstock_runtime::metrics::{Counter, count};
use evenstock_runtime::{Batch, MissingMessageId, new_id};
use serde_json::{Value, json};
use tracing::field::Empty;
use tracing::{error, info_span, warn};

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
    /// The switch of the periodic sync, or the job, is out of reach.
    #[error("the switch or the job is out of reach")]
    Store(#[from] StoreError),
}

/// Handles a tick of the schedule or a batch of poll jobs; the answer is the queue's.
///
/// # Errors
/// [`HandleError`]. A failing marketplace is none: the next poll goes on from the cursor.
pub async fn handle<S, Q, F, C>(polls: &Polls<S, Q, F, C>, event: Value) -> Result<Value, HandleError>
where
    S: PollStore + BreakerStore + JobStore + SwitchStore,
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
            Box::pin(by_schedule(polls, feed, plan)).await?;
        }
        return Ok(json!({}));
    }
    Err(HandleError::UnknownEvent(None))
}

/// Polls if the organization's switch is on and the poll is due, or at once when it was just switched on.
async fn by_schedule<S, Q, F, C>(polls: &Polls<S, Q, F, C>, feed: &F, plan: &PollPlan) -> Result<(), HandleError>
where
    S: PollStore + BreakerStore + SwitchStore,
    Q: Queue,
    F: StockFeed,
    C: Clock,
{
    let switch = polls.store.load_switch(&plan.organization).await?;
    let trigger = match switch.turn() {
        Turn::Off => return Ok(()),
        Turn::Now => PollTrigger::Manual,
        Turn::IfDue => PollTrigger::Schedule,
    };
    let begun = polls.clock.now();
    let plan = PollPlan { interval_ms: switch.interval_ms.unwrap_or(plan.interval_ms), ..plan.clone() };
    let report = Box::pin(poll(&poller(polls, feed), &plan, trigger, &new_id())).await?;
    count_completed(&report);
    if !matches!(report.outcome, PollOutcome::NotDue) {
        polls.store.mark_run(&plan.organization, begun).await?;
    }
    Ok(())
}

async fn by_jobs<S, Q, F, C>(polls: &Polls<S, Q, F, C>, event: SqsEvent) -> Result<Value, HandleError>
where
    S: PollStore + BreakerStore + JobStore,
    Q: Queue,
    F: StockFeed,
    C: Clock,
{
    let mut batch = Batch::new(event)?;
    let (origins, mut failed) = (batch.origins(), Vec::new());
    for (place, (message_id, body)) in batch.records().enumerate() {
        let job: PollJob = match serde_json::from_str(body) {
            Ok(job) => job,
            Err(reason) => {
                error!(message.id = message_id, %reason, "message {message_id} cannot be read and goes to the dead letters");
                failed.push((place, reason.to_string()));
                continue;
            }
        };
        let marketplace = polls.marketplace.as_ref().filter(|(_, plan)| plan.organization.as_str() == job.organization);
        let Some((feed, plan)) = marketplace else {
            error!(job.id = job.job_id, "job {} fails: its organization has no marketplace to poll", job.job_id);
            failed.push((place, "its organization has no marketplace to poll".to_owned()));
            continue;
        };
        let open = || info_span!("WorkOnPollJob", otel.kind = "consumer", job.id = job.job_id, trace_id = Empty);
        let work = Box::pin(by_job(polls, feed, plan, &job));
        if let Err(error) = origins.only(place).trace(open, work).await {
            warn!(job.id = job.job_id, error = with_causes(&error), "job {} comes back", job.job_id);
            failed.push((place, with_causes(&error)));
        }
    }
    failed.into_iter().for_each(|(place, reason)| batch.fail_because(place, reason));
    Ok(json!(batch.into_response()))
}

/// Polls for a job and ends it. A job that has ended, because its message came twice, is not polled for again.
async fn by_job<S, Q, F, C>(
    polls: &Polls<S, Q, F, C>,
    feed: &F,
    plan: &PollPlan,
    job: &PollJob,
) -> Result<(), HandleError>
where
    S: PollStore + BreakerStore + JobStore,
    Q: Queue,
    F: StockFeed,
    C: Clock,
{
    let Polls { store, clock, .. } = polls;
    // A message from before jobs were kept may carry any name.
    let id = JobId::parse(&job.job_id).ok();
    let begun = match &id {
        Some(id) => begin_job(store, clock, &plan.organization, id).await?,
        None => None,
    };
    let (report, failure) = if begun.is_some_and(|stored| stored.job.is_ended()) {
        (JobReport::default(), None)
    } else {
        let report = Box::pin(poll(&poller(polls, feed), plan, PollTrigger::Manual, &job.job_id)).await?;
        count_completed(&report);
        (job_report(&report), failure(&report.outcome))
    };
    if let Some(reason) = failure {
        warn!(job.id = job.job_id, reason, "job {} failed: {reason}", job.job_id);
    }
    if let Some(id) = &id {
        finish_job(store, clock, &plan.organization, id, &report, failure).await?;
    }
    Ok(())
}

/// An alarm rises when none is counted for long.
fn count_completed(report: &PollReport) {
    if matches!(report.outcome, PollOutcome::Completed | PollOutcome::Unfinished) {
        count(Counter::PollsCompleted, 1);
    }
}

/// A job whose poll was not made has failed, and asking again at once would not help: it is not delivered again.
const fn failure(outcome: &PollOutcome) -> Option<&'static str> {
    match outcome {
        PollOutcome::Completed | PollOutcome::Unfinished => None,
        PollOutcome::NotDue => Some("deferred"),
        PollOutcome::BreakerOpen { .. } => Some("breaker_open"),
        PollOutcome::Failed(_) => Some("marketplace_failed"),
    }
}

fn job_report(report: &PollReport) -> JobReport {
    let (queued, skipped) = (u64::from(report.queued), u64::from(report.skipped));
    let counters = JobCounters {
        processed: queued.saturating_add(skipped),
        applied: queued,
        failed: skipped,
        ..JobCounters::default()
    };
    let errors = match &report.outcome {
        PollOutcome::Failed(error) => vec![error.to_string()],
        PollOutcome::BreakerOpen { until } => vec![format!("the marketplace is left alone until {until}")],
        PollOutcome::Completed | PollOutcome::Unfinished | PollOutcome::NotDue => Vec::new(),
    };
    JobReport { counters, errors, ..JobReport::default() }
}

fn poller<'a, S, Q, F, C>(polls: &'a Polls<S, Q, F, C>, feed: &'a F) -> Poller<'a, S, Q, F, C> {
    Poller { store: &polls.store, queue: &polls.queue, feed, clock: &polls.clock }
}
