//! What a world is made of: random numbers, clocks that differ, and the running of futures by hand.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};

use evenstock_app::Clock;
use evenstock_domain::Timestamp;

/// A stream of numbers: small, and the same on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).unsigned_abs()).cast_signed()
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The world's time, as a process with its own error sees it.
#[derive(Debug, Clone)]
pub(crate) struct SkewedClock {
    pub(crate) world: Arc<AtomicI64>,
    pub(crate) skew_ms: i64,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH.plus_millis(self.world.load(Ordering::SeqCst) + self.skew_ms)
    }

    async fn back_off(&self, _attempt: u32) {
        let mut waited = false;
        std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Runs a future to its end.
pub(crate) fn finish<T>(mut work: Pin<Box<dyn Future<Output = T> + '_>>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..100_000 {
        if let Poll::Ready(value) = work.as_mut().poll(&mut context) {
            return value;
        }
    }
    panic!("it hangs");
}
