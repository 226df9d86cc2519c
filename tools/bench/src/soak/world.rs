//! What the clients know: what was said to them, and what was never answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The location of all stock here.
pub(super) const PLACE: &str = "main";

/// Products that are changed with keys, without keys, by counts, and by reservations.
pub(super) const KEYED: [&str; 4] = ["keyed-0", "keyed-1", "keyed-2", "keyed-3"];
pub(super) const KEYLESS: [&str; 2] = ["keyless-0", "keyless-1"];
pub(super) const COUNTED: [&str; 3] = ["counted-0", "counted-1", "counted-2"];
pub(super) const RESERVED: [&str; 3] = ["reserved-0", "reserved-1", "reserved-2"];

/// All of them.
pub(super) fn products() -> impl Iterator<Item = &'static str> {
    KEYED.into_iter().chain(KEYLESS).chain(COUNTED).chain(RESERVED)
}

/// A change that was answered: its delta and the quantity after it, by product and version.
pub(super) type Answers = BTreeMap<(&'static str, u64), (i64, i64)>;

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) answers: Answers,
    /// Keyless changes that were not answered, by product.
    pub(super) unknown: BTreeMap<&'static str, Vec<i64>>,
    /// The last acknowledged count of each product, and how many there were.
    pub(super) counts: BTreeMap<&'static str, (i64, u64)>,
    /// Reservations that were held: their lines.
    pub(super) reservations: BTreeMap<String, Vec<(&'static str, i64)>>,
    /// What must never be, as it was seen.
    pub(super) violations: Vec<String>,
    /// Requests by kind and what they came to.
    pub(super) tally: BTreeMap<(&'static str, &'static str), u64>,
}

/// The clients' common knowledge, and the sign to stop.
#[derive(Debug, Default)]
pub(super) struct World {
    known: Mutex<Known>,
    stopped: AtomicBool,
    answers: AtomicU64,
}

impl World {
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, kind: &'static str, outcome: &'static str) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        *self.known().tally.entry((kind, outcome)).or_default() += 1;
    }

    /// Notes an answered change; two changes of one version cannot be.
    pub(super) fn answered(&self, product: &'static str, version: u64, delta: i64, quantity: i64) {
        let mut known = self.known();
        if quantity < 0 {
            known.violations.push(format!("{product}: a request was answered with {quantity} units"));
        }
        if let Some(other) = known.answers.insert((product, version), (delta, quantity)) {
            known.violations.push(format!("{product}: version {version} was answered twice: {other:?} and {delta}"));
        }
    }

    pub(super) fn violated(&self, what: String) {
        self.known().violations.push(what);
    }

    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}
