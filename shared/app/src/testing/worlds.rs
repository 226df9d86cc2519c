//! What randomized worlds are made of: seeds, numbers, clocks that differ, and the running of processes by hand, so that
//! another one comes in between at any point.
//!
//! Knows nothing of stock. A world is a function of its seed alone, on every machine, so the stream of numbers must
//! never change: regressions are kept as seeds.

use core::future::Future;
use core::ops::Range;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicI64, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::Arc;

use evenstock_domain::Timestamp;

use crate::Clock;

/// Polls after which a future counts as hanging.
const PATIENCE: u32 = 100_000;

/// The seeds of one run: `usual` many, or as the environment says: `MODEL_SEED` one, `MODEL_SEEDS` so many.
///
/// # Panics
/// When a variable is not a number.
pub fn seeds(usual: u64) -> Range<u64> {
    #[expect(clippy::disallowed_methods, clippy::expect_used, reason = "the inputs of a test")]
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match (number("MODEL_SEED"), number("MODEL_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, seeds) => 0..seeds.unwrap_or(usual),
    }
}

/// The generator `SplitMix64`: small, and the same on every machine.
#[derive(Debug, Clone, Default)]
pub struct Random(pub u64);

impl Random {
    /// A number under `end`, which is not 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    /// A number from `low` to `high`, both included.
    pub const fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).unsigned_abs()).cast_signed()
    }

    /// True in so many of a hundred cases.
    pub const fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The world's time in milliseconds, as a process with its own error sees it. Waiting gives way to the others once.
#[derive(Debug, Clone)]
pub struct SkewedClock {
    /// Shared by all processes of the world.
    pub world: Arc<AtomicI64>,
    /// How far this process is ahead.
    pub skew_ms: i64,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH.plus_millis(self.world.load(Ordering::SeqCst) + self.skew_ms)
    }

    async fn back_off(&self, _attempt: u32) {
        let mut waited = false;
        core::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            if core::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Runs a future to its end.
///
/// # Panics
/// When it does not come to one.
#[expect(clippy::panic, reason = "a test reports by panicking")]
pub fn finish<T>(mut work: Pin<Box<dyn Future<Output = T> + '_>>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..PATIENCE {
        if let Poll::Ready(value) = work.as_mut().poll(&mut context) {
            return value;
        }
    }
    panic!("it hangs");
}

/// Gives a process so many turns; what it came to, if it came to its end.
pub fn turns<T>(mut process: Pin<&mut impl Future<Output = T>>, count: usize) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..count {
        if let Poll::Ready(done) = process.as_mut().poll(&mut context) {
            return Some(done);
        }
    }
    None
}

/// Gives a process turns until something has happened.
///
/// # Panics
/// When it comes to its end before.
pub fn turns_until<T>(mut process: Pin<&mut impl Future<Output = T>>, happened: impl Fn() -> bool) {
    while !happened() {
        assert!(turns(process.as_mut(), 1).is_none(), "it ended before");
    }
}

/// Runs a process for so many turns, then another one to its end beside it, then the first one to its end.
pub async fn meeting<T, U>(
    first: impl Future<Output = T>,
    turns_before: usize,
    second: impl Future<Output = U>,
) -> (T, U) {
    let mut first = pin!(first);
    match turns(first.as_mut(), turns_before) {
        Some(done) => (done, second.await),
        None => futures::join!(first, second),
    }
}
