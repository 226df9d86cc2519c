//! The real clock, the real waiting and real ids.

use core::time::Duration;

use evenstock_app::Clock;
use evenstock_domain::Timestamp;
use sha2::{Digest, Sha256};

/// The longest wait between two tries, in milliseconds.
const BACK_OFF_MAX_MS: u64 = 400;

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH.plus_millis(jiff::Timestamp::now().as_millisecond())
    }

    /// Full jitter: anything from 1 ms to 10 ms × 2^attempt, at most 400 ms. Writers that collided once should not
    /// collide again.
    async fn back_off(&self, attempt: u32) {
        let most = 10_u64.saturating_mul(1 << attempt.min(6)).min(BACK_OFF_MAX_MS);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(1..=most))).await;
    }
}

/// A new id: UUID v7, ordered by time.
#[expect(clippy::disallowed_methods, reason = "this is the one place that makes ids")]
pub fn new_id() -> String {
    #[cfg(any(test, feature = "testing"))]
    if let Some(id) = crate::testing::repeated_id() {
        return id;
    }
    uuid::Uuid::now_v7().to_string()
}

/// The id of a thing that has a name already: the same for every repetition, shaped and ordered like those of [`new_id`].
pub fn id_of(time: Timestamp, name: &str) -> String {
    let mut bits = [0; 10];
    bits.copy_from_slice(Sha256::digest(name).get(..10).unwrap_or(&[0; 10]));
    let millis = u64::try_from(time.as_millis()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &bits).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_names_repeat_and_are_ordered_by_time() {
        let at = |millis| Timestamp::EPOCH.plus_millis(millis);
        assert_eq!(id_of(at(5), "a"), id_of(at(5), "a"));
        assert_ne!(id_of(at(5), "a"), id_of(at(5), "b"));
        assert!(id_of(at(5), "z") < id_of(at(6), "a"));
        assert!(id_of(at(5), "a") < new_id());
    }
}
