//! Applies stock events to their levels: group the batch by level, decide in order, one conditional write a level.
//!
//! A record is acknowledged when its event is durable in its level, or when it is known to change nothing. Only failed
//! records come back; unreadable and impossible ones end in the dead-letter queue, none is skipped.

use std::collections::BTreeMap;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use evenstock_app::{ChangeBody, Clock, GroupResult, StockChange, StockStore, apply_group, with_causes};
use evenstock_domain::{EventIdKey, LevelKey, Outcome, StockEvent};
use evenstock_runtime::metrics::{Counter, count};
use evenstock_runtime::{Batch, MissingMessageId};
use evenstock_telemetry::Origins;
use futures::StreamExt;
use tracing::field::Empty;
use tracing::{Span, debug, error, info, info_span, warn};

/// Levels that are worked on at once.
const LEVELS_AT_ONCE: usize = 16;

/// What the worker needs.
#[derive(Debug)]
pub struct Worker<S, C> {
    /// Where levels are.
    pub store: S,
    /// Time.
    pub clock: C,
    /// Names events.
    pub ids: EventIdKey,
}

/// A level's events of one batch, in arrival order, each with its place in the batch and its names for the log.
#[derive(Debug, Default)]
struct Group {
    events: Vec<StockEvent>,
    places: Vec<usize>,
    names: Vec<(String, String)>,
}

/// Works on a batch of `stock-changes`.
///
/// # Errors
/// [`MissingMessageId`] when a record cannot be named in the answer: the whole batch comes back.
pub async fn handle<S: StockStore, C: Clock>(
    worker: &Worker<S, C>,
    event: SqsEvent,
) -> Result<SqsBatchResponse, MissingMessageId> {
    let batch = Batch::new(event)?;
    let (origins, records) = (batch.origins(), batch.len());
    let open = || info_span!("ApplyBatch", otel.kind = "consumer", otel.links = Empty, trace_id = Empty, records);
    Ok(origins.trace(open, Box::pin(apply(worker, batch, &origins))).await)
}

async fn apply<S: StockStore, C: Clock>(
    worker: &Worker<S, C>,
    mut batch: Batch,
    origins: &Origins,
) -> SqsBatchResponse {
    let groups = group(&mut batch, &worker.ids);
    let levels = groups.len();
    let work = groups.into_iter().map(async |(key, group)| {
        // Large, and each future around it would move it once more: it stays where it is put here.
        let apply = Box::pin(apply_group(&worker.store, &worker.clock, &key, &group.events));
        let result = origins.part(&group.places).trace(|| span_of(&key, &group), apply).await;
        (key, group, result)
    });
    let mut results = futures::stream::iter(work).buffer_unordered(LEVELS_AT_ONCE);
    let (mut applied, mut unchanged) = (0_u32, 0_u32);
    while let Some((key, group, result)) = results.next().await {
        for (place, outcome) in settle(&key, &group, &result) {
            match outcome {
                Ok(Outcome::Applied) => applied += 1,
                Ok(_) => unchanged += 1,
                Err(reason) => batch.fail_because(place, reason),
            }
        }
    }
    drop(results);
    count(Counter::InventoryUpdates, u64::from(applied));
    let records = batch.len();
    let response = batch.into_response();
    let failed = response.batch_item_failures.len();
    info!(records, levels, applied, unchanged, failed, "stock batch applied");
    response
}

/// The work on one level. The event is named when there is one; of several, the messages' traces tell.
fn span_of(key: &LevelKey, group: &Group) -> Span {
    let LevelKey { organization, sku, location } = key;
    let event_id = match group.names.as_slice() {
        [(event_id, _)] => Some(event_id.as_str()),
        _ => None,
    };
    info_span!(
        "ApplyDelta", organization.id = %organization, sku.id = %sku, location.id = %location, event.id = event_id,
        events = group.events.len(), otel.links = Empty, trace_id = Empty
    )
}

fn group(batch: &mut Batch, ids: &EventIdKey) -> BTreeMap<LevelKey, Group> {
    let mut groups: BTreeMap<LevelKey, Group> = BTreeMap::new();
    let mut unreadable = Vec::new();
    for (place, (message_id, body)) in batch.records().enumerate() {
        let read = StockChange::from_json(body).and_then(|change| Ok((change.to_event(ids)?, change)));
        match read {
            Ok(((key, event), change)) => {
                if matches!(change.change, ChangeBody::ForcedDelta { .. }) {
                    warn!(event.id = change.event_id, sku.id = %key.sku, "an operator lets {} in, whatever its age", change.event_id);
                }
                let group = groups.entry(key).or_default();
                group.events.push(event);
                group.places.push(place);
                group.names.push((change.event_id, change.job_id));
            }
            Err(reason) => {
                error!(message.id = message_id, %reason, "message {message_id} cannot be read and goes to the dead letters");
                unreadable.push((place, reason.to_string()));
            }
        }
    }
    unreadable.into_iter().for_each(|(place, reason)| batch.fail_because(place, reason));
    groups
}

/// The outcome of each record of a group, or why it must come back.
fn settle(key: &LevelKey, group: &Group, result: &GroupResult) -> Vec<(usize, Result<Outcome, String>)> {
    if let Some(failure) = &result.failure {
        let left = group.events.len().saturating_sub(result.outcomes.len());
        warn!(sku.id = %key.sku, location.id = %key.location, error = with_causes(failure), left, "events of {} come back", key.sku);
    }
    let left = result.failure.as_ref().map_or_else(|| "it was not come to".to_owned(), |failure| with_causes(failure));
    let outcomes = result.outcomes.iter().copied().map(Ok).chain(std::iter::repeat(Err(left)));
    let records = group.places.iter().zip(&group.names).zip(outcomes);
    records
        .map(|((place, (event_id, job_id)), outcome)| {
            if let Ok(Outcome::Rejected(reason)) = outcome {
                error!(
                    event.id = event_id, job.id = job_id, sku.id = %key.sku, %reason,
                    "event {event_id} is rejected and goes to the dead letters"
                );
                return (*place, Err(reason.to_string()));
            }
            debug!(event.id = event_id, job.id = job_id, sku.id = %key.sku, location.id = %key.location, ?outcome, "event settled");
            (*place, outcome)
        })
        .collect()
}
