//! What this process knows about its contact with the centre: for `stale`, the lag, and `/health`.
//!
//! The lag is measured by this node's clocks alone, so it does not matter how far they are from the centre's.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use evenstock_domain::Timestamp;
use tokio::time::Instant;

use crate::clock;

/// What went wrong last, and when by this node's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) what: String,
    pub(crate) at: Timestamp,
}

#[derive(Debug, Default)]
struct Inner {
    /// The last question about the feed was answered, and no write failed since.
    in_contact: bool,
    /// When everything that the centre had was here.
    level_since: Option<Instant>,
    last: Option<Trouble>,
    /// Why sending is stuck; cleared when an intent gets through.
    sending: Option<Trouble>,
}

/// Shared by all parts of the node.
#[derive(Debug, Default)]
pub(crate) struct Status(Mutex<Inner>);

/// A look at the status.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// The centre cannot be reached, or the copy is being made anew.
    pub(crate) stale: bool,
    /// How long ago everything that the centre had was here; `None`: not since this process began.
    pub(crate) level_for: Option<Duration>,
    pub(crate) last: Option<Trouble>,
    pub(crate) sending: Option<Trouble>,
}

impl Status {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The feed was asked and answered just now. Returns whether the contact is new.
    pub(crate) fn followed(&self, nothing_left: bool) -> bool {
        self.with(|inner| {
            if nothing_left {
                inner.level_since = Some(Instant::now());
            }
            !std::mem::replace(&mut inner.in_contact, true)
        })
    }

    /// The feed was asked and there was no good answer, or the copy has to be made anew. Returns whether that is news:
    /// there was contact before, or another trouble.
    pub(crate) fn lost(&self, what: String) -> bool {
        self.with(|inner| {
            let other = inner.last.as_ref().is_none_or(|last| last.what != what);
            inner.last = Some(Trouble { what, at: clock::now() });
            std::mem::replace(&mut inner.in_contact, false) || other
        })
    }

    /// An intent got through.
    pub(crate) fn sent(&self) {
        self.with(|inner| inner.sending = None);
    }

    /// Sending is stuck. Returns whether that is news.
    pub(crate) fn stuck(&self, what: String) -> bool {
        let trouble = Trouble { what, at: clock::now() };
        self.with(|inner| inner.sending.replace(trouble).is_none())
    }

    /// How it is now.
    pub(crate) fn view(&self) -> View {
        self.with(|inner| View {
            stale: !inner.in_contact,
            level_for: inner.level_since.map(|since| since.elapsed()),
            last: inner.last.clone(),
            sending: inner.sending.clone(),
        })
    }
}
