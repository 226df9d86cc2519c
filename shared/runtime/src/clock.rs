//! The real clock, the real waiting and real ids.

use core::time::Duration;

use evenstock_app::Clock;
use evenstock_domain::Timestamp;

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
    uuid::Uuid::now_v7().to_string()
}
