//! Bringing back the deliveries whose time has come, and those whose message was lost.
//!
//! The due time moves before the message is sent: if this breaks off in between, the delivery is due again a little
//! later. A message too many is harmless, because a delivery that is not due is left alone.

use evenstock_domain::Timestamp;

use crate::due::ask_all;
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

/// Sends a message for every delivery that is due, until `until`. Each minute begins with another group, so that one
/// flood after another does not always use up the time of the same groups.
///
/// # Errors
/// [`StoreError`] when the due deliveries of a group cannot be listed; the other groups were served.
pub async fn requeue<S: CallbackStore, Q: Queue, C: Clock>(
    store: &S,
    queue: &Q,
    clock: &C,
    until: Timestamp,
) -> Result<RequeueReport, StoreError> {
    let begun = clock.now();
    let mut report = RequeueReport { finished: begun < until, ..RequeueReport::default() };
    if !report.finished {
        return Ok(report);
    }
    let mut unlisted = None;
    for (bucket, first) in ask_all(begun, |bucket| store.due_deliveries(bucket, begun, PAGE)).await {
        let mut listed = first;
        for page in 1..=PAGES_MAX {
            let due = match listed {
                Ok(due) => due,
                Err(error) => {
                    unlisted.get_or_insert(error);
                    break;
                }
            };
            if due.is_empty() {
                break;
            }
            if clock.now() >= until {
                report.finished = false;
                break;
            }
            let moved = send_again(store, queue, clock, &due, &mut report).await;
            // The index may still list what was moved: a page without anything new is the end of the group.
            if due.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) || moved == 0 {
                break;
            }
            if page == PAGES_MAX {
                report.finished = false;
                break;
            }
            listed = store.due_deliveries(bucket, clock.now(), PAGE).await;
        }
    }
    unlisted.map_or(Ok(report), Err)
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

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicI64, Ordering};
    use std::collections::BTreeSet;

    use evenstock_domain::{DUE_BUCKETS, Delivery, DeliveryId, EndpointId, EventType, OrganizationId};

    use super::*;
    use crate::testing::{Fault, FaultyStore, FixedClock, MemoryQueue, MemoryStore};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis).unwrap()
    }

    /// Deliveries that have been due for a minute: some in each group.
    async fn with_due(store: &impl CallbackStore) {
        let organization = OrganizationId::parse("us").unwrap();
        let endpoint = EndpointId::parse("endpoint").unwrap();
        let mut groups = BTreeSet::new();
        for n in 0..200 {
            let event = n.to_string();
            let id = DeliveryId::new(&endpoint, &event, at(-60_000));
            let delivery = Delivery::new(organization.clone(), id, event, EventType::StockLow, None, "{}".to_owned());
            groups.insert(delivery.due_bucket());
            assert!(store.save_delivery(None, &delivery).await.unwrap());
        }
        assert_eq!(groups.len(), usize::from(DUE_BUCKETS));
    }

    #[tokio::test]
    async fn group_that_cannot_be_listed_holds_up_no_other() {
        let memory = MemoryStore::default();
        with_due(&memory).await;
        let mut listed = 0;
        let store = FaultyStore::new(memory, move |operation| {
            listed += u32::from(operation == "due_deliveries");
            if operation == "due_deliveries" && listed == 1 { Fault::NotDone } else { Fault::None }
        });
        let (queue, clock) = (MemoryQueue::default(), FixedClock::at(at(0)));
        assert!(requeue(&store, &queue, &clock, at(1)).await.is_err(), "it is told");
        let sent = queue.bodies(QueueName::Callbacks).len();
        assert!((150..200).contains(&sent), "{sent} of the others");
        requeue(&store, &queue, &clock, at(1)).await.unwrap();
        assert_eq!(queue.bodies(QueueName::Callbacks).len(), 200);
    }

    /// A clock that moves with every look at it.
    struct Ticking(AtomicI64);

    impl Clock for Ticking {
        fn now(&self) -> Timestamp {
            at(self.0.fetch_add(1, Ordering::SeqCst))
        }

        async fn back_off(&self, _attempt: u32) {}
    }

    #[tokio::test]
    async fn runs_that_have_no_time_for_all_groups_serve_each_in_turn() {
        let store = MemoryStore::default();
        with_due(&store).await;
        let queue = MemoryQueue::default();
        for minute in 0..i64::from(DUE_BUCKETS) {
            let begun = minute * 60_000;
            let report = requeue(&store, &queue, &Ticking(AtomicI64::new(begun)), at(begun + 5)).await.unwrap();
            assert!(!report.finished);
        }
        let sent: BTreeSet<_> = queue.bodies(QueueName::Callbacks).into_iter().collect();
        assert_eq!(sent.len(), 200);
    }
}
