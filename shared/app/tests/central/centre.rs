//! The central system of the model, and the network before it: a request may arrive after its sender is gone, and an
//! answer never.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use evenstock_app::testing::worlds::Random;
use evenstock_app::{CentralAnswer, CentralError, CentralStock, CentralUpdate};
use evenstock_domain::{Holding, LocationId, Sku};

#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) levels: BTreeMap<Sku, Holding>,
    keys: BTreeMap<String, (CentralUpdate, u64)>,
    /// Requests that are still on their way.
    pub(crate) on_the_way: Vec<Vec<CentralUpdate>>,
    pub(crate) updates: u64,
    /// Percent of calls that fail.
    pub(crate) faults: u64,
    pub(crate) random: Random,
    /// Whether it keeps to keys and versions.
    lawful: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Centre(Arc<Mutex<Books>>);

impl Centre {
    pub(crate) fn new(seed: u64, lawful: bool) -> Self {
        let random = Random(seed.wrapping_mul(31).wrapping_add(7));
        Self(Arc::new(Mutex::new(Books { random, lawful, faults: 20, ..Books::default() })))
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }
}

impl Books {
    pub(crate) fn change(&mut self, sku: &Sku, delta: i64) {
        let level = self.levels.entry(sku.clone()).or_insert(Holding { quantity: 0, version: 0 });
        *level = Holding { quantity: level.quantity + delta, version: level.version + 1 };
    }

    pub(crate) fn receive(&mut self, updates: &[CentralUpdate]) -> Vec<CentralAnswer> {
        updates.iter().map(|update| self.apply(update)).collect()
    }

    fn apply(&mut self, update: &CentralUpdate) -> CentralAnswer {
        self.updates += 1;
        if let Some((asked, version)) = self.keys.get(&update.idempotency_key).filter(|_| self.lawful) {
            let answer = CentralAnswer::Applied { version: *version };
            return if asked == update { answer } else { CentralAnswer::Unprocessable("another request".into()) };
        }
        let held = self.levels.get(&update.sku).map_or(Holding { quantity: 0, version: 0 }, |level| *level);
        if self.lawful && held.version != update.expected_version {
            return CentralAnswer::Stale;
        }
        if held.quantity + update.delta < 0 {
            return CentralAnswer::Unprocessable("insufficient".into());
        }
        self.change(&update.sku, update.delta);
        let version = self.levels[&update.sku].version;
        self.keys.insert(update.idempotency_key.clone(), (update.clone(), version));
        CentralAnswer::Applied { version }
    }
}

/// What the network does to a call.
enum Fate {
    Works,
    NeverArrives,
    ArrivesLate,
    LosesItsAnswer,
}

impl CentralStock for Centre {
    async fn push(&self, _: &LocationId, updates: &[CentralUpdate]) -> Result<Vec<CentralAnswer>, CentralError> {
        let failed = || CentralError::Failed { reason: "no answer".to_owned(), retry_after_seconds: None };
        turn().await;
        let fate = {
            let mut books = self.books();
            let faults = books.faults;
            match books.random.chance(faults).then(|| books.random.below(3)) {
                None => Fate::Works,
                Some(0) => Fate::NeverArrives,
                Some(1) => Fate::ArrivesLate,
                Some(_) => Fate::LosesItsAnswer,
            }
        };
        match fate {
            Fate::NeverArrives => return Err(failed()),
            Fate::ArrivesLate => {
                self.books().on_the_way.push(updates.to_vec());
                return Err(failed());
            }
            Fate::Works | Fate::LosesItsAnswer => {}
        }
        let answers = self.books().receive(updates);
        turn().await;
        if matches!(fate, Fate::LosesItsAnswer) { Err(failed()) } else { Ok(answers) }
    }

    async fn holding(&self, _: &LocationId, sku: &Sku) -> Result<Option<Holding>, CentralError> {
        turn().await;
        let held = self.books().levels.get(sku).copied();
        turn().await;
        Ok(held)
    }
}

/// Gives others a turn.
async fn turn() {
    let mut turned = false;
    poll_fn(|context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut turned, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
