//! Pushes changes of stock to a central inventory system. A message names levels; what each of them lacks there follows
//! from its journal.
//!
//! A message is acknowledged when the central system has everything, when a conflict is durable, or when another message
//! stands for what is left of it.

mod config;

use std::collections::BTreeMap;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use evenstock_app::{
    BreakerStore, CentralCopies, CentralStock, Clock, ConflictStore, LevelName, Outgoing, PropagateDeps, PropagatePlan,
    PropagateReport, PushFate, PushJob, Queue, QueueName, StockStore, propagate, with_causes,
};
use evenstock_domain::{EventIdKey, LevelKey, OrganizationId};
use evenstock_runtime::metrics::{Counter, count};
use evenstock_runtime::{Batch, MissingMessageId};
use tracing::{error, info, warn};

pub use config::{Settings, SetupError, central, settings};

/// How long one call begins pushes, in milliseconds: a push that begins then still ends within the function's timeout.
const WORK_MS: i64 = 15_000;

/// How often the central system may put a message off before it fails like any other.
const PUT_OFF_MAX: u32 = 5;

/// What the function needs.
#[derive(Debug)]
pub struct Pushes<S, Q, P, C> {
    /// Levels, copies, conflicts and the breaker.
    pub store: S,
    /// Takes the messages of what waits, and of what cannot be pushed.
    pub queue: Q,
    /// The central system; `None` when there is none.
    pub central: Option<P>,
    /// Time.
    pub clock: C,
    /// Names pushes.
    pub ids: EventIdKey,
    /// Whose changes are pushed.
    pub organization: OrganizationId,
    /// How.
    pub settings: Settings,
}

/// A message in work.
struct Message {
    place: usize,
    job: PushJob,
    levels: Vec<LevelKey>,
}

/// Works on a batch of `stock-pushes`. `name` tells this batch from all others.
///
/// # Errors
/// [`MissingMessageId`] when a record cannot be named in the answer: the whole batch comes back.
pub async fn handle<S, Q, P, C>(
    pushes: &Pushes<S, Q, P, C>,
    event: SqsEvent,
    name: &str,
) -> Result<SqsBatchResponse, MissingMessageId>
where
    S: StockStore + CentralCopies + ConflictStore + BreakerStore,
    Q: Queue,
    P: CentralStock,
    C: Clock,
{
    let mut batch = Batch::new(event)?;
    let (mut messages, mut failed) = (Vec::new(), Vec::new());
    for (place, (message_id, body)) in batch.records().enumerate() {
        match read(pushes, body) {
            Ok((job, levels)) => messages.push(Message { place, job, levels }),
            Err(reason) => {
                error!(message.id = message_id, reason, "message {message_id} goes to the dead letters: {reason}");
                failed.push((place, reason));
            }
        }
    }
    if let Some(central) = &pushes.central
        && !messages.is_empty()
    {
        failed.extend(work(pushes, central, messages, name).await);
    }
    failed.into_iter().for_each(|(place, reason)| batch.fail_because(place, reason));
    Ok(batch.into_response())
}

fn read<S, Q, P, C>(pushes: &Pushes<S, Q, P, C>, body: &str) -> Result<(PushJob, Vec<LevelKey>), String> {
    let (job, levels) = PushJob::from_json(body).map_err(|error| error.to_string())?;
    if pushes.central.is_none() {
        return Err("there is no central system to push to".to_owned());
    }
    if job.organization != pushes.organization.as_str() {
        return Err("the changes of its organization are not pushed".to_owned());
    }
    Ok((job, levels))
}

/// Places of the messages that must come back, and why.
async fn work<S, Q, P, C>(
    pushes: &Pushes<S, Q, P, C>,
    central: &P,
    messages: Vec<Message>,
    name: &str,
) -> Vec<(usize, String)>
where
    S: StockStore + CentralCopies + ConflictStore + BreakerStore,
    Q: Queue,
    P: CentralStock,
    C: Clock,
{
    let Pushes { store, clock, ids, settings, .. } = pushes;
    // A level that several messages name is looked at once.
    let mut levels: BTreeMap<LevelKey, bool> = BTreeMap::new();
    for message in &messages {
        for key in &message.levels {
            *levels.entry(key.clone()).or_default() |= message.job.again;
        }
    }
    let levels: Vec<_> = levels.into_iter().collect();
    let plan = PropagatePlan {
        theirs: settings.theirs.as_deref(),
        breaker: settings.breaker,
        grace_seconds: settings.grace_seconds,
        until: clock.now().plus_millis(WORK_MS),
        name,
    };
    let deps = PropagateDeps { store, central, clock, ids };
    let PropagateReport { fates, pushed, failed, conflicts } = Box::pin(propagate(deps, &plan, &levels)).await;
    count(Counter::StockPushes, pushed);
    count(Counter::StockPushFailures, failed);
    count(Counter::StockPushConflicts, conflicts);
    info!(levels = levels.len(), pushed, failed, conflicts, "stock pushed");
    let mut back = Vec::new();
    for message in messages {
        if let Err(reason) = finish(&pushes.queue, &message, &fates).await {
            back.push((message.place, reason));
        }
    }
    back
}

/// Sends on what is left of a message, or says why it must come back.
async fn finish<Q: Queue>(queue: &Q, message: &Message, fates: &BTreeMap<LevelKey, PushFate>) -> Result<(), String> {
    let (mut waiting, mut refused, mut failure) = (BTreeMap::new(), Vec::new(), None);
    for key in &message.levels {
        match fates.get(key) {
            None | Some(PushFate::Done) => {}
            Some(PushFate::Failed(reason)) => failure = Some(reason.clone()),
            Some(PushFate::Later { put_off: true, .. }) if message.job.tries >= PUT_OFF_MAX => {
                failure = Some(format!("the central system put it off {PUT_OFF_MAX} times"));
            }
            Some(PushFate::Later { seconds, again, put_off }) => {
                waiting.entry((*seconds, *again, *put_off)).or_insert_with(Vec::new).push(name_of(key));
            }
            Some(PushFate::Refused(reason)) => refused.push((name_of(key), reason)),
        }
    }
    // All of it comes back: what is done already changes nothing then.
    if let Some(reason) = failure {
        return Err(reason);
    }
    let mut again = Vec::new();
    for ((seconds, again_counts, put_off), levels) in waiting {
        let tries = message.job.tries.saturating_add(u32::from(put_off));
        again.push(part(&message.job, levels, tries, again_counts, None, seconds)?);
    }
    let mut letters = Vec::new();
    for (level, reason) in refused {
        warn!(sku.id = level.sku, location.id = level.location, reason, "a level cannot be pushed as things stand");
        letters.push(part(&message.job, vec![level], 0, false, Some(reason.clone()), 0)?);
    }
    for (name, messages) in [(QueueName::StockPushes, again), (QueueName::StockPushesDlq, letters)] {
        if !messages.is_empty() {
            queue.send(name, messages).await.map_err(|error| with_causes(&error))?;
        }
    }
    Ok(())
}

fn name_of(key: &LevelKey) -> LevelName {
    LevelName { sku: key.sku.to_string(), location: key.location.to_string() }
}

/// A message for some levels of another one.
fn part(
    job: &PushJob,
    levels: Vec<LevelName>,
    tries: u32,
    again: bool,
    reason: Option<String>,
    seconds: u16,
) -> Result<Outgoing, String> {
    let part = PushJob { organization: job.organization.clone(), levels, tries, again, reason };
    part.outgoing(seconds).map_err(|error| error.to_string())
}
