//! Bringing back the deliveries whose time has come, and those whose message was lost.
//!
//! The due time moves before the message is sent: if this breaks off in between, the delivery is due again a little
//! later. A message too many is harmless, because a delivery that is not due is left alone.

use evenstock_domain::{DUE_BUCKETS, Timestamp};

use crate::{CallbackJob, CallbackStore, Clock, DueDelivery, Queue, QueueName, StoreError, with_causes};
use futures::StreamExt;
use tracing::warn;

/// How long a message may be on its way before its delivery is looked after again, in milliseconds.
const ON_ITS_WAY_MS: i64 = 5 * 60 * 1000;

/// Deliveries of one page.
const PAGE: u32 = 100;

/// Pages of one group in one run: a flood in one group must not use up the run's time.
const PAGES_MAX: u32 = 50;

/// Deliveries that are moved at once.
const AT_ONCE: usize = 16;

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequeueReport {
    /// Messages sent.
    pub queued: usize,
    /// Deliveries that could not be brought back; they stay due.
    pub failed: usize,
    /// Whether everything that was due was looked at.
    pub finished: bool,
}

/// Sends a message for every delivery that is due, until `until`.
///
/// # Errors
/// [`StoreError`] when the due deliveries cannot be listed.
pub async fn requeue<S: CallbackStore, Q: Queue, C: Clock>(
    store: &S,
    queue: &Q,
    clock: &C,
    until: Timestamp,
) -> Result<RequeueReport, StoreError> {
    let mut report = RequeueReport { finished: true, ..RequeueReport::default() };
    for bucket in 0..DUE_BUCKETS {
        for page in 0..=PAGES_MAX {
            if clock.now() >= until || page == PAGES_MAX {
                report.finished = false;
                break;
            }
            let due = store.due_deliveries(bucket, clock.now(), PAGE).await?;
            let moved = send_again(store, queue, clock, &due, &mut report).await;
            // The index may still list what was moved: a page without anything new is the end of the group.
            if due.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) || moved == 0 {
                break;
            }
        }
    }
    Ok(report)
}

/// How many of them are on their way now.
async fn send_again<S: CallbackStore, Q: Queue, C: Clock>(
    store: &S,
    queue: &Q,
    clock: &C,
    due: &[DueDelivery],
    report: &mut RequeueReport,
) -> usize {
    let later = clock.now().plus_millis(ON_ITS_WAY_MS);
    let mut messages = Vec::new();
    let moves: Vec<_> = due.iter().map(async |delivery| (delivery, store.postpone(delivery, later).await)).collect();
    let mut moves = futures::stream::iter(moves).buffer_unordered(AT_ONCE);
    while let Some((delivery, moved)) = moves.next().await {
        match moved {
            Ok(true) => {
                let (organization, id) = (delivery.organization.clone(), delivery.id.clone());
                messages.push(CallbackJob::Again { organization, id }.outgoing(0));
            }
            Ok(false) => {}
            Err(error) => {
                warn!(delivery.id = %delivery.id, error = with_causes(&error), "delivery {} stays due", delivery.id);
                report.failed += 1;
            }
        }
    }
    drop(moves);
    let count = messages.len();
    if count == 0 {
        return 0;
    }
    match queue.send(QueueName::Callbacks, messages).await {
        Ok(()) => report.queued += count,
        Err(error) => {
            warn!(count, error = with_causes(&error), "{count} due deliveries are sent a few minutes later");
            report.failed += count;
        }
    }
    count
}
