//! What the parts of a node share.

use evenstock_domain::{LocationId, Timestamp};
use tokio::sync::{Notify, watch};
use tracing::error;

use crate::api::ClientKey;
use crate::cache::{Cache, Owner, Progress};
use crate::centre::{Centre, Failure};
use crate::cli::with_causes;
use crate::clock;
use crate::intents::Intents;
use crate::settings::QueueSettings;
use crate::status::Status;
use crate::wire::About;

/// Says when the process ends.
pub(crate) type Stop = watch::Receiver<bool>;

/// A running node.
pub(crate) struct Node {
    pub(crate) store: LocationId,
    pub(crate) queue: QueueSettings,
    pub(crate) clients: Option<ClientKey>,
    pub(crate) owner: Owner,
    pub(crate) centre: Centre,
    pub(crate) cache: Cache,
    pub(crate) intents: Intents,
    pub(crate) status: Status,
    /// Something waits to be sent, or may get through again.
    pub(crate) send: Notify,
    /// The centre may be away: look at once.
    pub(crate) look: Notify,
}

impl Node {
    /// A write did not get through: reads are stale from now on, and the feed is asked at once.
    pub(crate) fn write_failed(&self, failure: &Failure) {
        self.status.lost(failure.to_string());
        self.look.notify_one();
    }

    /// Takes in what answers to writes said. They are applied at the centre already, so a disk that fails makes reads
    /// stale and no write fail; the feed brings the same again.
    pub(crate) async fn heard(&self, sayings: Vec<About>) {
        if let Err(failed) = self.cache.apply_answers(sayings).await {
            error!(cause = with_causes(&failed), "the copy of the stock cannot be kept");
            self.status.lost(with_causes(&failed));
        }
    }

    /// How old the copy may be, in milliseconds: the time since it held everything that the centre had. Before the
    /// first contact of this process, by the time that was kept with the copy.
    pub(crate) fn lag_ms(&self, progress: Progress) -> Option<i64> {
        match self.status.view().level_for {
            Some(passed) => i64::try_from(passed.as_millis()).ok(),
            None => progress.level_at.map(|at| clock::now().millis_since(at).max(0)),
        }
    }
}

/// Resolves when the process ends.
pub(crate) async fn stopped(stop: &mut Stop) {
    // An error means that the other end is gone, which is the end too.
    if stop.wait_for(|stop| *stop).await.is_err() {
        tracing::debug!("stopped without being told");
    }
}

/// A random number for jitter.
pub(crate) fn permille() -> u32 {
    fastrand::u32(0..=1000)
}

/// This node's clock.
pub(crate) fn now() -> Timestamp {
    clock::now()
}
