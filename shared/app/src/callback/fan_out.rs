//! From announcements to messages: one for each endpoint that wants to be told.
//!
//! May be run again for the same announcements: the deliveries have the same names then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use evenstock_domain::{Endpoint, OrganizationId, Registry, Timestamp};
use evenstock_telemetry::TraceContext;
use serde_json::json;
use tracing::error;

use crate::{
    Announcement, CallbackJob, CallbackStore, FrozenEvent, Outgoing, Queue, QueueError, QueueName, StoreError,
    with_causes,
};

/// How long a registry is believed without asking again, in milliseconds: a new endpoint is told after that at the
/// latest.
const BELIEVED_MS: i64 = 60_000;

/// Registries that a process remembers.
const REMEMBERED_MAX: usize = 10_000;

/// Who wants to be told, as far as a process knows: at most one read an organization and minute.
#[derive(Debug, Default)]
pub struct Subscriptions(Mutex<HashMap<OrganizationId, (Arc<Registry>, Timestamp)>>);

/// Why announcements could not be passed on. All of them may be passed on again.
#[derive(Debug, thiserror::Error)]
pub enum FanOutError {
    /// The endpoints cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The messages cannot be sent.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Subscriptions {
    async fn of<S: CallbackStore>(
        &self,
        store: &S,
        organization: &OrganizationId,
        now: Timestamp,
    ) -> Result<Arc<Registry>, StoreError> {
        if let Some(known) = self.remembered(organization, now) {
            return Ok(known);
        }
        let registry = Arc::new(store.load_registry(organization).await?.1);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(organization.clone(), (Arc::clone(&registry), now));
        Ok(registry)
    }

    fn remembered(&self, organization: &OrganizationId, now: Timestamp) -> Option<Arc<Registry>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (registry, at) = known.get(organization)?;
        (now.millis_since(*at) < BELIEVED_MS).then(|| Arc::clone(registry))
    }
}

/// Passes announcements on to whoever wants them: how many messages that took. Every message is sent when it returns.
///
/// Disabled endpoints get theirs too: what a process believes may be a minute old, and the worker, which reads anew,
/// keeps the event or calls an endpoint that was enabled meanwhile.
///
/// `origins` says where in a trace each announcement belongs; one without belongs to where this runs.
///
/// # Errors
/// [`FanOutError`]; some may have been passed on, and passing them on again is harmless.
pub async fn fan_out<S: CallbackStore, Q: Queue>(
    store: &S,
    queue: &Q,
    subscriptions: &Subscriptions,
    now: Timestamp,
    announcements: &[Announcement],
    origins: &[Option<TraceContext>],
) -> Result<usize, FanOutError> {
    let (mut messages, mut letters): (Vec<Outgoing>, Vec<Outgoing>) = (Vec::new(), Vec::new());
    for (place, announcement) in announcements.iter().enumerate() {
        let registry = match subscriptions.of(store, &announcement.organization, now).await {
            Err(error @ StoreError::Corrupt { .. }) => {
                letters.push(letter(announcement, &error));
                continue;
            }
            registry => registry?,
        };
        let mut frozen = None;
        for endpoint in registry.wanting(announcement.event) {
            let event = frozen.get_or_insert_with(|| FrozenEvent::of(announcement)).clone();
            let message = first(&registry.organization, endpoint, event).outgoing(0);
            let origin = origins.get(place).cloned().flatten();
            messages.push(Outgoing { trace: origin.or(message.trace), ..message });
        }
    }
    let count = messages.len();
    if count > 0 {
        queue.send(QueueName::Callbacks, messages).await?;
    }
    if !letters.is_empty() {
        queue.send(QueueName::StreamDlq, letters).await?;
    }
    Ok(count)
}

/// What nobody can be found for goes to the stream's dead letters, as it would have been sent: one organization's
/// endpoints that cannot be read must not hold up all others.
fn letter(announcement: &Announcement, error: &StoreError) -> Outgoing {
    let (event_id, reason) = (&announcement.event_id, with_causes(error));
    error!(event_id, reason, "event {event_id} went to the dead letters");
    let letter = json!({ "reason": reason, "eventId": event_id, "body": FrozenEvent::of(announcement).body });
    Outgoing::now(letter.to_string(), announcement.organization.clone())
}

fn first(organization: &OrganizationId, endpoint: &Endpoint, event: FrozenEvent) -> CallbackJob {
    CallbackJob::First { organization: organization.clone(), endpoint: endpoint.id.clone(), event }
}

/// Sends one announcement to one endpoint, whatever it subscribed to: to see whether it can be reached.
///
/// # Errors
/// [`QueueError`].
pub async fn send_test<Q: Queue>(
    queue: &Q,
    endpoint: &Endpoint,
    announcement: &Announcement,
) -> Result<(), QueueError> {
    let job = first(&announcement.organization, endpoint, FrozenEvent::of(announcement));
    queue.send(QueueName::Callbacks, vec![job.outgoing(0)]).await
}
