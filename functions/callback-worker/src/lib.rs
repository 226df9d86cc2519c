//! Delivers callbacks: each message is an event for one endpoint, or a delivery that is tried again.
//!
//! A message is acknowledged when its event has arrived, or when what follows is stored. Unreadable messages end in the
//! dead-letter queue.

mod config;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use evenstock_app::{
    CallbackJob, CallbackSender, CallbackStore, Clock, DeliverDeps, DeliverReport, Queue, Sealer, deliver,
};
use evenstock_domain::RetrySchedule;
use evenstock_runtime::metrics::{Counter, count};
use evenstock_runtime::{Batch, MissingMessageId};
use evenstock_telemetry::Origins;
use tracing::field::Empty;
use tracing::{error, info, info_span};

pub use config::{SetupError, retry_schedule, sender};

/// How long one call begins deliveries, in milliseconds: a delivery that begins then still ends within the function's
/// timeout.
const WORK_MS: i64 = 35_000;

/// What the worker needs.
#[derive(Debug)]
pub struct Callbacks<S, Q, P, K, C> {
    /// Endpoints and deliveries.
    pub store: S,
    /// Takes the messages of later tries.
    pub queue: Q,
    /// Calls endpoints.
    pub sender: P,
    /// Opens their secrets.
    pub sealer: K,
    /// Time.
    pub clock: C,
    /// When deliveries are tried again whose endpoint does not say otherwise.
    pub schedule: RetrySchedule,
}

/// Works on a batch of `callbacks`. `name` tells this batch from all others.
///
/// # Errors
/// [`MissingMessageId`] when a record cannot be named in the answer: the whole batch comes back.
pub async fn handle<S, Q, P, K, C>(
    callbacks: &Callbacks<S, Q, P, K, C>,
    event: SqsEvent,
    name: &str,
) -> Result<SqsBatchResponse, MissingMessageId>
where
    S: CallbackStore,
    Q: Queue,
    P: CallbackSender,
    K: Sealer,
    C: Clock,
{
    let batch = Batch::new(event)?;
    let (origins, records) = (batch.origins(), batch.len());
    let open = || info_span!("DeliverBatch", otel.kind = "consumer", otel.links = Empty, trace_id = Empty, records);
    // Boxed: a batch of calls is large, and the span around it would hold it twice.
    Ok(origins.trace(open, Box::pin(work(callbacks, batch, &origins, name))).await)
}

async fn work<S, Q, P, K, C>(
    callbacks: &Callbacks<S, Q, P, K, C>,
    mut batch: Batch,
    origins: &Origins,
    name: &str,
) -> SqsBatchResponse
where
    S: CallbackStore,
    Q: Queue,
    P: CallbackSender,
    K: Sealer,
    C: Clock,
{
    let (mut jobs, mut unreadable) = (Vec::new(), Vec::new());
    for (place, (message_id, body)) in batch.records().enumerate() {
        match CallbackJob::from_json(body) {
            Ok(job) => jobs.push((place, job)),
            Err(reason) => {
                error!(message.id = message_id, %reason, "message {message_id} cannot be read and goes to the dead letters");
                unreadable.push((place, reason.to_string()));
            }
        }
    }
    let Callbacks { store, queue, sender, sealer, clock, schedule } = callbacks;
    let deps = DeliverDeps { store, queue, sender, sealer, clock, schedule, origins };
    let report = deliver(deps, jobs, name, clock.now().plus_millis(WORK_MS)).await;
    let DeliverReport { failed, arrived, missed, given_up, parked, kept, idle } = report;
    count(Counter::CallbacksSucceeded, u64::from(arrived));
    count(Counter::CallbacksFailed, u64::from(given_up));
    count(Counter::CallbacksRetried, u64::from(missed.saturating_sub(given_up)));
    let records = batch.len();
    let back = failed.len().saturating_add(unreadable.len());
    unreadable.into_iter().chain(failed).for_each(|(place, reason)| batch.fail_because(place, reason));
    info!(
        records,
        successCount = arrived,
        failCount = missed,
        parkedCount = parked,
        keptCount = kept,
        idleCount = idle,
        backCount = back,
        "callback_job_completed"
    );
    batch.into_response()
}
