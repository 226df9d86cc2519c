//! What AWS does between a queue, a schedule and a function: fetch, invoke, delete what succeeded, show the rest again.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use evenstock_runtime::{RECEIVES_MAX, take_reason};
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{error, warn};

use crate::functions::{BatchHandler, TickHandler};
use crate::queue::{LocalQueueError, LocalQueues, Received};

/// Time before a failed message comes again, in milliseconds; doubled with each receive. AWS would wait for the
/// visibility timeout, which is too long for somebody who watches.
const RETRY_FIRST_MS: i64 = 500;
const RETRY_LAST_MS: i64 = 30_000;

/// Longest sleep of an idle pump.
const IDLE: Duration = Duration::from_secs(5);

/// How long messages gather after a batch that was not full, where the function allows for a window. AWS waits for as long
/// as the window says, up to a second, which is too long for somebody who watches; but a batch for every single message
/// would cost a write of the level for each, where a few together need one.
const GATHER: Duration = Duration::from_millis(50);

/// Turns to true when the process should end.
pub(crate) type Stop = watch::Receiver<bool>;

/// Gives a queue's messages to a function until `stop`; a batch in work is finished first. `gathers` says that it may wait
/// for more messages to come together.
pub(crate) async fn pump(
    queues: LocalQueues,
    queue: String,
    batch_size: usize,
    gathers: bool,
    handler: BatchHandler,
    mut stop: Stop,
) -> Result<(), LocalQueueError> {
    let mut arrivals = queues.arrivals(&queue)?;
    while !*stop.borrow() {
        arrivals.mark_unchanged();
        // Not inside the select: a batch received by a dropped future would stay invisible.
        match queues.receive(&queue, batch_size).await {
            Ok(batch) if !batch.is_empty() => {
                let is_full = batch.len() >= batch_size;
                if let Err(error) = invoke(&queues, &queue, batch, &handler).await {
                    error!(queue, %error, "messages of {queue} are not settled and come again");
                }
                if gathers && !is_full {
                    sleep(GATHER).await;
                }
                continue;
            }
            Ok(_) => {}
            Err(error) => error!(queue, %error, "queue {queue} cannot be read"),
        }
        let wait = match queues.next_visible_in_ms(&queue).await {
            Ok(Some(millis)) => Duration::from_millis(millis.max(1)).min(IDLE),
            Ok(None) | Err(_) => IDLE,
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            _ = arrivals.changed() => {}
            () = sleep(wait) => {}
        }
    }
    Ok(())
}

async fn invoke(
    queues: &LocalQueues,
    queue: &str,
    batch: Vec<Received>,
    handler: &BatchHandler,
) -> Result<(), LocalQueueError> {
    let mut whole = None;
    let failed = match serde_json::from_value::<SqsEvent>(event_of(&batch)) {
        Ok(event) => handler(event).await.unwrap_or_else(|reason| {
            warn!(queue, reason, "a whole batch of {queue} failed and comes again");
            whole = Some(reason);
            batch.iter().map(|message| message.message_id.clone()).collect()
        }),
        Err(reason) => {
            error!(queue, %reason, "a batch of {queue} cannot be made into an event");
            whole = Some(reason.to_string());
            batch.iter().map(|message| message.message_id.clone()).collect()
        }
    };
    let (again, done): (Vec<_>, Vec<_>) = batch.into_iter().partition(|message| failed.contains(&message.message_id));
    queues.delete(queue, done.into_iter().map(|message| message.receipt_handle).collect()).await?;
    for message in again {
        let delay = match message.receive_count {
            // The next receive only moves it to the dead letters: nothing is won by waiting.
            RECEIVES_MAX.. => 0,
            count => RETRY_FIRST_MS.saturating_mul(1 << count).min(RETRY_LAST_MS),
        };
        let reason = take_reason(&message.message_id).or_else(|| whole.clone());
        let reason = reason.unwrap_or_else(|| "its function did not say; the log does".to_owned());
        queues.note_failure(queue, message.receipt_handle.clone(), reason).await?;
        queues.release(queue, vec![message.receipt_handle], delay).await?;
    }
    Ok(())
}

fn event_of(batch: &[Received]) -> Value {
    let attribute = |(name, value): (&str, &Option<String>)| {
        let value = json!({ "stringValue": value.as_ref()?, "dataType": "String" });
        Some((name.to_owned(), value))
    };
    let record = |message: &Received| {
        let trace = [("traceparent", &message.traceparent), ("tracestate", &message.tracestate)];
        let attributes: Map<_, _> = trace.into_iter().filter_map(attribute).collect();
        json!({
            "messageId": message.message_id,
            "receiptHandle": message.receipt_handle,
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": message.receive_count.to_string(),
                "SentTimestamp": message.sent_at_ms.to_string(),
                "ApproximateFirstReceiveTimestamp": message.first_received_at_ms.to_string(),
                "MessageGroupId": message.organization,
            },
            "messageAttributes": attributes,
            "eventSource": "aws:sqs",
        })
    };
    json!({ "Records": batch.iter().map(record).collect::<Vec<_>>() })
}

/// Calls a function every so often until `stop`, beginning at once.
pub(crate) async fn tick(name: String, every: Duration, handler: TickHandler, mut stop: Stop) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        if let Err(reason) = handler().await {
            warn!(function = name, reason, "scheduled call of {name} failed");
        }
    }
}
