//! What a program asks of AWS: how many calls on how many connections, and how many of the calls it made before.

use core::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::HeaderMap;

/// Counts what arrives.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    connections: AtomicU32,
    calls: AtomicU32,
    repeated: AtomicU32,
}

/// What arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    connections: u32,
    /// Calls, each try as one.
    pub(crate) calls: u32,
    /// Calls that were tries after the first.
    pub(crate) repeated: u32,
}

impl Traffic {
    /// A connection was made, or tried.
    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A call came. The SDK says in a header which try it is, so that one is seen whose first try never arrived.
    pub(crate) fn called(&self, headers: &HeaderMap) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let attempt = headers.get("amz-sdk-request").and_then(|value| value.to_str().ok());
        if attempt.is_some_and(|attempt| !attempt.starts_with("attempt=1;")) {
            self.repeated.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What arrived since this was asked last.
    pub(crate) fn take(&self) -> Asked {
        let taken = |counter: &AtomicU32| counter.swap(0, Ordering::Relaxed);
        Asked { connections: taken(&self.connections), calls: taken(&self.calls), repeated: taken(&self.repeated) }
    }
}

/// Calls and connections, and repeated calls if there are any.
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.calls, self.connections)?;
        if self.repeated > 0 { write!(f, ", {} repeated", self.repeated) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn try_after_the_first_is_a_repeated_call() {
        let traffic = Traffic::default();
        traffic.connected();
        for attempt in ["attempt=1; max=3", "ttl=20261129T050000Z; attempt=2; max=3"] {
            traffic.called(&HeaderMap::from_iter([("amz-sdk-request".parse().unwrap(), attempt.parse().unwrap())]));
        }
        assert_eq!(traffic.take().to_string(), "2 / 1, 1 repeated");
        assert_eq!(traffic.take().to_string(), "0 / 0");
    }
}
