//! What everything in one world shares: its time, its chances, the faults that strike it, and the trace of what happened.
//!
//! All chance of a world comes from here, so its seed is its whole fate.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use evenstock_app::testing::worlds::{Random, SkewedClock};

use crate::laws::Law;

/// The world begins here, milliseconds.
pub(crate) const START: i64 = 1_700_000_000_000;

/// Lines of the trace that a failure shows.
const LINES_SHOWN: usize = 60;

/// Draws from a world's chances.
pub(crate) trait Draw {
    /// A place in a list of `len`.
    fn place(&mut self, len: usize) -> usize;

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.place(of.len())]
    }
}

impl Draw for Random {
    fn place(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }
}

/// What happens to one call of something outside the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It works.
    Done,
    /// It is not done, and says so.
    NotDone,
    /// It is not done, and the caller cannot know.
    UnknownNotDone,
    /// It is done, and the caller cannot know.
    UnknownDone,
}

/// How bad a world is, in percent of calls.
#[derive(Debug, Clone, Copy)]
struct Storm {
    not_done: u64,
    unknown_not_done: u64,
    unknown_done: u64,
    /// Of a thousand calls, how many begin a time of throttling.
    throttles: u64,
}

#[derive(Debug, Default)]
struct Trace {
    hash: u64,
    count: u64,
    last: VecDeque<String>,
    /// The first law that was found broken.
    hole: Option<String>,
}

/// What everything in one world shares.
#[derive(Debug)]
pub(crate) struct Nature {
    now: Arc<AtomicI64>,
    calm: AtomicBool,
    pub(crate) without: Option<Law>,
    random: Mutex<Random>,
    storm: Storm,
    throttled_until: AtomicI64,
    trace: Mutex<Trace>,
    /// Whether every line of the trace is printed: `SIM_TRACE` is set.
    prints: bool,
}

impl Nature {
    pub(crate) fn new(seed: u64, without: Option<Law>) -> Arc<Self> {
        let mut random = Random(seed ^ 0xf00d_0000);
        let storm = match random.below(4) {
            0 => Storm { not_done: 0, unknown_not_done: 0, unknown_done: 0, throttles: 0 },
            1 => Storm { not_done: 1, unknown_not_done: 1, unknown_done: 1, throttles: 0 },
            2 => Storm { not_done: 2, unknown_not_done: 1, unknown_done: 4, throttles: 2 },
            _ => Storm { not_done: 4, unknown_not_done: 3, unknown_done: 5, throttles: 4 },
        };
        Arc::new(Self {
            now: Arc::new(AtomicI64::new(START)),
            calm: AtomicBool::new(true),
            without,
            random: Mutex::new(random),
            storm,
            throttled_until: AtomicI64::new(0),
            trace: Mutex::default(),
            prints: std::env::var_os("SIM_TRACE").is_some(),
        })
    }

    pub(crate) fn lacks(&self, law: Law) -> bool {
        self.without == Some(law)
    }

    pub(crate) fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    /// The world's time as a process sees it whose clock is so far ahead.
    pub(crate) fn clock(&self, skew_ms: i64) -> SkewedClock {
        SkewedClock { world: Arc::clone(&self.now), skew_ms }
    }

    pub(crate) fn pass(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
    }

    pub(crate) fn set_calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::SeqCst);
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::SeqCst)
    }

    /// Whether something bad happens that happens to so many of a hundred. Never while all is well.
    pub(crate) fn strikes(&self, percent: u64) -> bool {
        !self.is_calm() && self.random.lock().unwrap().chance(percent)
    }

    pub(crate) fn between(&self, low: i64, high: i64) -> i64 {
        self.random.lock().unwrap().between(low, high)
    }

    pub(crate) fn fate(&self, call: &str) -> Fate {
        if self.is_calm() {
            return Fate::Done;
        }
        let Storm { not_done, unknown_not_done, unknown_done, throttles } = self.storm;
        let mut random = self.random.lock().unwrap();
        if random.below(1000) < throttles {
            self.throttled_until.store(self.now() + random.between(100, 3_000), Ordering::SeqCst);
        }
        let throttled = self.now() < self.throttled_until.load(Ordering::SeqCst) && random.chance(70);
        let drawn = random.below(100);
        drop(random);
        let fate = if throttled || drawn < not_done {
            Fate::NotDone
        } else if drawn < not_done + unknown_not_done {
            Fate::UnknownNotDone
        } else if drawn < not_done + unknown_not_done + unknown_done {
            Fate::UnknownDone
        } else {
            Fate::Done
        };
        if fate != Fate::Done {
            self.tell(|| format!("{call}: {fate:?}"));
        }
        fate
    }

    /// Writes a line of the trace.
    pub(crate) fn tell(&self, line: impl FnOnce() -> String) {
        let line = format!("{:>9} {}", self.now() - START, line());
        if self.prints {
            eprintln!("{line}");
        }
        let mut trace = self.trace.lock().unwrap();
        for byte in line.bytes() {
            trace.hash = (trace.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        trace.count += 1;
        if trace.last.len() == LINES_SHOWN {
            trace.last.pop_front();
        }
        trace.last.push_back(line);
    }

    /// Notes a law that does not hold.
    pub(crate) fn broken(&self, hole: impl Into<String>) {
        self.trace.lock().unwrap().hole.get_or_insert_with(|| hole.into());
    }

    pub(crate) fn hole(&self) -> Option<String> {
        self.trace.lock().unwrap().hole.clone()
    }

    /// A number that two runs share only if they did the same, and how many lines it stands for.
    pub(crate) fn fingerprint(&self) -> (u64, u64) {
        let trace = self.trace.lock().unwrap();
        (trace.hash, trace.count)
    }

    pub(crate) fn last_lines(&self) -> String {
        self.trace.lock().unwrap().last.iter().cloned().collect::<Vec<_>>().join("\n")
    }
}

/// Gives others a turn: here a process can be stopped for ever.
pub(crate) async fn turn() {
    let mut turned = false;
    poll_fn(|context| {
        if std::mem::replace(&mut turned, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
