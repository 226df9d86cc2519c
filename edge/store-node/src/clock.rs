//! The one place of this crate that reads the clock of the day. Durations are measured by tokio's monotonic clock.

use evenstock_domain::Timestamp;

/// Nanoseconds since the Unix epoch, for spans.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub(crate) fn now_ns() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

/// Now, by this machine's clock. Only compared with what the same clock said before, never with the centre's.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub(crate) fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.plus_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
