//! One world: deliveries and requests over time, run step by step in a random order.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use evenstock_app::testing::worlds::{Random, SkewedClock, finish};
use evenstock_app::testing::{Fault, FaultyStore};
use evenstock_app::{Answer, StockStore, StoreError, Update, UpdateDeps, UpdateResult, apply_group, update};
use evenstock_domain::{
    ActorCode, Delta, EventBody, EventIdKey, LevelKey, LocationId, Means, OrganizationId, Outcome, Quantity, Sku,
    Source, StockEvent, Timestamp,
};

use crate::audit::{Hole, audit};
use crate::broken::{BrokenStore, Law};

type Store = FaultyStore<BrokenStore>;

/// Everything that was answered to one idempotency key with an effect: (version, available after).
pub(crate) type Answers = Vec<(String, u64, i64)>;

/// Something that waits for its time.
#[derive(Debug, Clone)]
enum Due {
    Batch(Vec<StockEvent>),
    Request(String),
}

enum Process {
    Batch(Vec<StockEvent>, Pin<Box<dyn Future<Output = Vec<Outcome>>>>),
    Request(String, Pin<Box<dyn Future<Output = ()>>>),
}

pub(crate) struct World {
    random: Random,
    law_out: Option<Law>,
    now: Arc<AtomicI64>,
    store: Arc<Store>,
    key: LevelKey,
    due: Vec<(i64, Due)>,
    answers: Arc<Mutex<Answers>>,
    /// A failure that no later try would mend.
    broken: Arc<Mutex<Option<String>>>,
    /// Whether events go on for hours.
    long: bool,
    /// What each idempotency key asks for.
    units: BTreeMap<String, i64>,
    pub(crate) facts: Vec<StockEvent>,
}

/// The world begins here, milliseconds.
const START: i64 = 1_700_000_000_000;

/// Events begin in the first two minutes, or after a burst go on for two hours, so that pages are begun far apart.
/// Deliveries may come half an hour later.
const SPAN_MS: i64 = 120_000;
const LONG_SPAN_MS: i64 = 7_200_000;

/// Deliveries that come in so close to each other may run together.
const TOGETHER_MS: i64 = 2_500;

/// No process outlives this: the search margin rests on it.
const TIMEOUT_MS: i64 = 60_000;

pub(crate) fn ids() -> EventIdKey {
    EventIdKey::new(*b"model-model-mode")
}

impl World {
    pub(crate) fn new(seed: u64, law_out: Option<Law>) -> Self {
        let mut faults = Random(seed ^ 0xf00d);
        let store = FaultyStore::new(BrokenStore::new(law_out), move |_| match faults.below(100) {
            0..=2 => Fault::NotDone,
            3..=4 => Fault::UnknownNotDone,
            5..=7 => Fault::UnknownDone,
            _ => Fault::None,
        });
        let key = LevelKey {
            organization: OrganizationId::parse("org").unwrap(),
            sku: Sku::parse("sku").unwrap(),
            location: LocationId::parse("main").unwrap(),
        };
        let mut world = Self {
            random: Random(seed),
            law_out,
            now: Arc::new(AtomicI64::new(START)),
            store: Arc::new(store),
            key,
            due: Vec::new(),
            answers: Arc::default(),
            broken: Arc::default(),
            long: false,
            units: BTreeMap::new(),
            facts: Vec::new(),
        };
        world.plan();
        world
    }

    fn event(&self, name: &str, time: i64, source: &str, body: EventBody) -> StockEvent {
        let time = Timestamp::from_millis(time).unwrap();
        let source = Source::parse(source).unwrap();
        StockEvent { id: ids().event_id(name), time, source, actor: ActorCode(0), body }
    }

    /// Draws the world's facts and requests, and when each of their deliveries comes in.
    fn plan(&mut self) {
        let means = if self.random.chance(50) { Means::Available } else { Means::OnHand };
        let count = |random: &mut Random| {
            let quantity = Quantity::new(random.between(0, 30)).unwrap();
            EventBody::Count { quantity, means, sequence: 0 }
        };
        let first = count(&mut self.random);
        let first = self.event("initial", START - 60_000, "authority", first);
        self.due.push((START, Due::Batch(vec![first.clone()])));
        self.facts.push(first);
        let busy = self.random.chance(50);
        self.long = self.random.chance(40);
        let (deltas, counts, requests) = (
            self.random.below(if busy { 60 } else { 8 }),
            self.random.below(5),
            self.random.below(if busy { 30 } else { 6 }),
        );
        for n in 0..deltas {
            let units = [-3, -2, -1, -1, 1, 2][self.random.below(6) as usize];
            let body = EventBody::Delta(Delta::new(units).unwrap());
            self.plan_fact(&format!("delta-{n}"), "orders", body);
        }
        for n in 0..counts {
            let body = count(&mut self.random);
            let source = if self.random.chance(50) { "authority" } else { "other-authority" };
            self.plan_fact(&format!("count-{n}"), source, body);
        }
        for n in 0..requests {
            let units = [-4, -2, -1, -1, 2][self.random.below(5) as usize];
            let mut time = START + self.moment();
            self.units.insert(format!("key-{n}"), units);
            for _ in 0..=self.random.below(3) {
                self.due.push((time, Due::Request(format!("key-{n}"))));
                time += self.random.between(0, 1_200_000);
            }
        }
        self.due.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    }

    /// When something happens, after the start.
    fn moment(&mut self) -> i64 {
        let span = if self.long && self.random.chance(60) { LONG_SPAN_MS } else { SPAN_MS };
        self.random.between(0, span)
    }

    /// A fact happens once, by a clock that may be off, and is delivered up to three times, hours of model time late.
    fn plan_fact(&mut self, name: &str, source: &str, body: EventBody) {
        let happens = START + self.moment();
        let skew = if self.random.chance(50) { 0 } else { self.random.between(-100_000, 100_000) };
        let event = self.event(name, happens + skew, source, body);
        for _ in 0..=self.random.below(3) {
            let late = if self.random.chance(30) { 1_800_000 } else { 20_000 };
            let arrives = happens + self.random.between(0, late);
            let mut delivered = event.clone();
            if self.law_out == Some(Law::OwnTime) {
                delivered.time = Timestamp::from_millis(arrives).unwrap();
            }
            self.due.push((arrives, Due::Batch(vec![delivered])));
        }
        self.facts.push(event);
    }

    /// Runs until everything is settled, then audits.
    pub(crate) fn run(mut self) -> Result<(), Hole> {
        let mut running: Vec<(i64, Process)> = Vec::new();
        for _ in 0..200_000 {
            if let Some(broken) = self.broken.lock().unwrap().take() {
                return Err(Hole(broken));
            }
            if self.due.is_empty() && running.is_empty() {
                return self.settle();
            }
            if self.may_start(running.is_empty()) {
                let process = self.start();
                running.push((self.now.load(Ordering::SeqCst), process));
                continue;
            }
            let place = self.random.below(running.len() as u64) as usize;
            let now = self.now.fetch_add(self.random.between(0, 40), Ordering::SeqCst);
            let timed_out = now - running[place].0 > TIMEOUT_MS;
            if timed_out || self.random.chance(1) {
                // The process dies here; whatever it was given is delivered again.
                let work = running.swap_remove(place).1.work();
                self.deliver_again(work);
            } else if let Some(work) = step(&mut running[place].1) {
                running.swap_remove(place);
                work.into_iter().for_each(|work| self.deliver_again(work));
            }
        }
        Err(Hole("the world does not come to rest".to_owned()))
    }

    /// The clock leaps to the next delivery only while nothing runs: a leap in between would be a process that stood still.
    fn may_start(&mut self, idle: bool) -> bool {
        let now = self.now.load(Ordering::SeqCst);
        match self.due.last() {
            None => false,
            Some(_) if idle => true,
            Some((time, _)) => *time <= now + TOGETHER_MS && self.random.chance(40),
        }
    }

    fn deliver_again(&mut self, work: Due) {
        let at = self.now.load(Ordering::SeqCst) + self.random.between(0, 60_000);
        let place = self.due.partition_point(|(time, _)| *time > at);
        self.due.insert(place, (at, work));
    }

    fn start(&mut self) -> Process {
        let (time, due) = self.due.pop().expect("checked by the caller");
        self.now.fetch_max(time, Ordering::SeqCst);
        let clock = SkewedClock { world: Arc::clone(&self.now), skew_ms: self.random.between(-2_000, 2_000) };
        let (store, key) = (Arc::clone(&self.store), self.key.clone());
        match due {
            Due::Batch(mut batch) => {
                while self.random.chance(60) && matches!(self.due.last(), Some((_, Due::Batch(_)))) {
                    if let Some((time, Due::Batch(more))) = self.due.pop() {
                        self.now.fetch_max(time, Ordering::SeqCst);
                        batch.extend(more);
                    }
                }
                let events = batch.clone();
                let broken = Arc::clone(&self.broken);
                let work = async move {
                    let result = apply_group(&*store, &clock, &key, &events).await;
                    note(&broken, result.failure);
                    result.outcomes
                };
                Process::Batch(batch, Box::pin(work))
            }
            Due::Request(name) => {
                let (answers, units) = (Arc::clone(&self.answers), self.units[&name]);
                Process::Request(name.clone(), Box::pin(make_request(store, clock, key, name, units, answers)))
            }
        }
    }

    /// Repeats every answered request long after the last entry spilled, then looks at everything.
    fn settle(&mut self) -> Result<(), Hole> {
        let answered: Vec<_> = self.answers.lock().unwrap().iter().map(|(key, ..)| key.clone()).collect();
        for key in answered {
            self.now.fetch_add(1000, Ordering::SeqCst);
            let units = self.units[&key];
            let clock = SkewedClock { world: Arc::clone(&self.now), skew_ms: 0 };
            let (store, answers) = (Arc::clone(&self.store), Arc::clone(&self.answers));
            finish(Box::pin(make_request(store, clock, self.key.clone(), key, units, answers)));
        }
        let memory = &self.store.inner().inner;
        let level = finish(Box::pin(memory.load(&self.key))).map_err(|error| Hole(error.to_string()))?;
        let level = level.ok_or_else(|| Hole("the level is gone".to_owned()))?.level;
        let answers = self.answers.lock().unwrap().clone();
        audit(&level, memory.pages(&self.key), &self.facts, &answers)
    }
}

fn note(broken: &Mutex<Option<String>>, failure: Option<StoreError>) {
    if let Some(error) = failure.filter(|error| !error.is_passing()) {
        *broken.lock().unwrap() = Some(error.to_string());
    }
}

async fn make_request(
    store: Arc<Store>,
    clock: SkewedClock,
    level: LevelKey,
    name: String,
    units: i64,
    answers: Arc<Mutex<Answers>>,
) {
    let asked = Update {
        key: level,
        delta: Delta::new(units).unwrap(),
        version: None,
        idempotency_key: name.clone(),
        request_hash: [1; 32],
        actor: ActorCode(1),
    };
    let deps = UpdateDeps { store: &*store, clock: &clock, ids: &ids() };
    if let Ok(UpdateResult::Settled { settled, .. }) = update(deps, &asked).await
        && let Answer::Applied(placed) = settled.answer
    {
        answers.lock().unwrap().push((name, placed.version, placed.available_after));
    }
}

/// Polls a process once. `Some` when it has ended, with what must be delivered again.
fn step(process: &mut Process) -> Option<Option<Due>> {
    let mut context = Context::from_waker(Waker::noop());
    match process {
        Process::Batch(batch, work) => match work.as_mut().poll(&mut context) {
            Poll::Pending => None,
            Poll::Ready(outcomes) => {
                let left = batch.split_off(outcomes.len());
                Some((!left.is_empty()).then_some(Due::Batch(left)))
            }
        },
        Process::Request(_, work) => match work.as_mut().poll(&mut context) {
            Poll::Pending => None,
            Poll::Ready(()) => Some(None),
        },
    }
}

impl Process {
    fn work(self) -> Due {
        match self {
            Self::Batch(batch, _) => Due::Batch(batch),
            Self::Request(name, _) => Due::Request(name),
        }
    }
}
