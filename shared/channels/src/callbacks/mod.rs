//! Our own calls to the endpoints that organizations registered: signed, guarded, bounded.
//!
//! Owns the signature (both its sides), the rules for URLs, the resolver that refuses addresses, and the HTTP client.

mod client;
mod resolver;
mod signature;
mod target;
#[cfg(test)]
mod tests;

pub use client::{HttpCallbacks, SenderError, callbacks_sender};
pub(crate) use resolver::GuardedResolver;
pub use resolver::{Lookup, SystemLookup};
pub use signature::{InvalidCallback, InvalidSigningKey, ReceivedHeaders, SigningKey, TOLERANCE_SECONDS};
pub use target::Target;
