//! The port that delivers callbacks. Must not know what is done with the outcome.

use core::future::Future;

use evenstock_domain::{Timestamp, Tried};

use crate::SecretText;

/// What is sent to whom.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The URL, as it was registered.
    pub target: &'a str,
    /// The event's name: the same for every try.
    pub event_id: &'a str,
    /// When it is sent.
    pub sent_at: Timestamp,
    /// The body, byte for byte.
    pub body: &'a str,
    /// What signs: each secret makes a signature of its own.
    pub secrets: &'a [SecretText],
}

/// Why a URL cannot be a target. Each reads as the end of a sentence that begins with the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// It is not an absolute URL with a host, under `http` or `https`.
    #[error("must be an absolute http or https URL")]
    NotHttp,
    /// It is too long.
    #[error("must be at most 2048 bytes")]
    TooLong,
    /// It carries a user name or a password.
    #[error("must not contain a user name or a password")]
    Credentials,
    /// It carries a fragment, which is never sent.
    #[error("must not contain a fragment")]
    Fragment,
    /// Its port is one of other services.
    #[error("must use port 443, 80 or one above 1023")]
    Port,
    /// Its host has no address now.
    #[error("must have a host that can be resolved")]
    Unresolved,
    /// It leads to where callbacks may not go.
    #[error("must lead to an address of the public internet")]
    Forbidden,
}

/// Delivers callbacks.
pub trait CallbackSender: Send + Sync {
    /// Checks that a URL may be called, as far as that can be known now. Every call checks again.
    fn check(&self, target: &str) -> impl Future<Output = Result<(), InvalidTarget>> + Send;

    /// Calls once. What goes wrong is part of the outcome.
    fn send(&self, call: Call<'_>) -> impl Future<Output = Tried> + Send;
}
