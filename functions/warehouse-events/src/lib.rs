//! Applies the change events of warehouse databases, from Kafka or from a queue.
//!
//! A record is done when its change is durable in its level, or in an open conflict, or is known to change nothing. One
//! that can never be applied as it stands goes to the dead letters by our own hand, with the reason, so that it holds up
//! nobody. Only passing errors fail: a queue's record on its own, Kafka's batch as a whole, because Kafka knows no other
//! way; its repetition changes nothing.

mod apply;
mod dead_letter;
mod progress;
mod record;

use aws_lambda_events::event::sqs::SqsEvent;
use evenstock_app::{
    Clock, ConflictStore, PartitionStore, Queue, QueueError, QueueName, StockStore, WarehouseStore, with_causes,
};
use evenstock_domain::EventIdKey;
use evenstock_runtime::metrics::{Counter, count};
use evenstock_runtime::{Batch, MissingMessageId};
use serde_json::{Value, json};
use tracing::field::Empty;
use tracing::{error, info, info_span};

use apply::Fate;
use record::{Origin, Record};

/// What the function needs.
#[derive(Debug)]
pub struct WarehouseEvents<S, Q, C> {
    /// Warehouses, levels, conflicts, and how far Kafka's partitions have been read.
    pub store: S,
    /// The dead letters.
    pub queue: Q,
    /// Time.
    pub clock: C,
    /// Names events.
    pub ids: EventIdKey,
}

/// Why an invocation failed, so that it is made again.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The event is neither Kafka's nor a queue's.
    #[error("the event is neither from Kafka nor from a queue: {0}")]
    UnknownEvent(String),
    /// A record cannot be named in the answer.
    #[error(transparent)]
    MissingMessageId(#[from] MissingMessageId),
    /// Some of Kafka's records could not be settled now.
    #[error("{failed} of {records} records could not be settled, so the batch comes again")]
    Unsettled {
        /// How many.
        failed: usize,
        /// Of how many.
        records: usize,
    },
}

/// Handles a batch of Kafka's records or of a queue's messages; the answer is the queue's.
///
/// # Errors
/// [`HandleError`]. The batch may be given again: what was settled changes nothing then.
pub async fn handle<S, Q, C>(function: &WarehouseEvents<S, Q, C>, event: Value) -> Result<Value, HandleError>
where
    S: StockStore + WarehouseStore + ConflictStore + PartitionStore,
    Q: Queue,
    C: Clock,
{
    if event.get("Records").is_some() {
        let event: SqsEvent =
            serde_json::from_value(event).map_err(|error| HandleError::UnknownEvent(error.to_string()))?;
        return from_queue(function, event).await;
    }
    let records = record::from_kafka(&event).map_err(HandleError::UnknownEvent)?;
    // Boxed: the type of so many nested futures is more than the compiler wants to look through.
    let settled = Box::pin(settle(function, &records)).await;
    progress::note(&function.store, function.clock.now(), &records, &settled).await;
    match settled.iter().filter(|settled| settled.is_err()).count() {
        0 => Ok(json!({})),
        failed => Err(HandleError::Unsettled { failed, records: records.len() }),
    }
}

async fn from_queue<S, Q, C>(function: &WarehouseEvents<S, Q, C>, event: SqsEvent) -> Result<Value, HandleError>
where
    S: StockStore + WarehouseStore + ConflictStore,
    Q: Queue,
    C: Clock,
{
    let mut batch = Batch::new(event)?;
    let records: Vec<_> = batch.records().map(|(_, body)| Record::from_message(body)).collect();
    let open = || info_span!("ApplyWarehouseChanges", otel.kind = "consumer", otel.links = Empty, trace_id = Empty);
    let settled = batch.origins().trace(open, Box::pin(settle(function, &records))).await;
    for (place, settled) in settled.into_iter().enumerate() {
        if let Err(reason) = settled {
            batch.fail_because(place, reason);
        }
    }
    Ok(json!(batch.into_response()))
}

/// Applies the records and puts the hopeless ones to the dead letters; of each, why it must come again if it must.
async fn settle<S, Q, C>(function: &WarehouseEvents<S, Q, C>, records: &[Record]) -> Vec<Result<(), String>>
where
    S: StockStore + WarehouseStore + ConflictStore,
    Q: Queue,
    C: Clock,
{
    let fates = apply::apply(function, records).await;
    let settled = fates.iter().map(|fate| match fate {
        Fate::Later(reason) => Err(reason.clone()),
        Fate::Done | Fate::Conflict | Fate::Dead(_) => Ok(()),
    });
    let mut settled: Vec<_> = settled.collect();
    let dead: Vec<_> = fates
        .iter()
        .enumerate()
        .filter_map(|(place, fate)| match fate {
            Fate::Dead(reason) => Some((place, reason)),
            Fate::Done | Fate::Conflict | Fate::Later(_) => None,
        })
        .collect();
    if let Err(failure) = bury(function, records, &dead).await {
        let failure = with_causes(&failure);
        error!(error = failure, "dead letters cannot be sent, so their records come again");
        for (place, reason) in &dead {
            let reason = format!("{reason}; and it cannot be sent to the dead letters: {failure}");
            settled.get_mut(*place).into_iter().for_each(|settled| *settled = Err(reason.clone()));
        }
    }
    let conflicts = fates.iter().filter(|fate| matches!(fate, Fate::Conflict)).count();
    let failed = settled.iter().filter(|settled| settled.is_err()).count();
    info!(records = records.len(), dead = dead.len(), conflicts, failed, "warehouse changes applied");
    settled
}

/// Sends the records at these places to the dead letters, each with its reason.
async fn bury<S, Q: Queue, C: Clock>(
    function: &WarehouseEvents<S, Q, C>,
    records: &[Record],
    dead: &[(usize, &String)],
) -> Result<(), QueueError> {
    let now = function.clock.now();
    let mut letters = Vec::with_capacity(dead.len());
    for (record, reason) in dead.iter().filter_map(|(place, reason)| Some((records.get(*place)?, *reason))) {
        let Origin { topic, partition, offset } = &record.origin;
        error!(
            kafka.topic = topic,
            kafka.partition = partition,
            kafka.offset = offset,
            reason,
            "a warehouse's change goes to the dead letters: {reason}"
        );
        letters.push(dead_letter::write(record, reason, now)?);
    }
    if letters.is_empty() {
        return Ok(());
    }
    let given_up = letters.len();
    function.queue.send(QueueName::WarehouseEventsDlq, letters).await?;
    count(Counter::DlqEvents, u64::try_from(given_up).unwrap_or_default());
    Ok(())
}
