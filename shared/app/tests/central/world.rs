//! One world: our store with its faults, the central system, and workers that are polled by hand.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use evenstock_app::testing::worlds::{Random, finish};
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{
    Clock, ConflictChoice, ConflictStore, CountDeps, PropagateDeps, PropagatePlan, PropagateReport, PushFate, Resolve,
    ResolveResult, StockStore, apply_group, propagate, resolve_conflict,
};
use evenstock_domain::{
    ActorCode, BreakerConfig, Delta, EventBody, EventIdKey, LevelKey, LocationId, OrganizationId, Outcome, Quantity,
    Sku, Source, StockEvent, Timestamp,
};

use crate::centre::Centre;

/// The source under which the central system's changes come to us.
const THEIRS: &str = "centre/main";

type Work<'a> = Pin<Box<dyn Future<Output = PropagateReport> + 'a>>;

pub(crate) struct World {
    store: FaultyStore<MemoryStore>,
    clock: FixedClock,
    ids: EventIdKey,
    centre: Centre,
    random: Mutex<Random>,
    /// Percent of the store's calls that fail.
    faults: Arc<Mutex<u64>>,
    events: Mutex<u64>,
}

fn key(n: u64) -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("demo").unwrap(),
        sku: Sku::parse(&format!("SKU-{n}")).unwrap(),
        location: LocationId::parse("main").unwrap(),
    }
}

const LEVELS: u64 = 3;

impl World {
    pub(crate) fn new(seed: u64, lawful: bool) -> Self {
        let faults = Arc::new(Mutex::new(10));
        let (percent, mut own) = (Arc::clone(&faults), Random(seed ^ 0xf00d));
        let plan = move |_| {
            if !own.chance(*percent.lock().unwrap()) {
                return Fault::None;
            }
            [Fault::NotDone, Fault::UnknownDone, Fault::UnknownNotDone][usize::try_from(own.below(3)).unwrap()]
        };
        Self {
            store: FaultyStore::new(MemoryStore::default(), plan),
            clock: FixedClock::at(Timestamp::from_millis(1_700_000_000_000).unwrap()),
            ids: EventIdKey::new(*b"0123456789abcdef"),
            centre: Centre::new(seed, lawful),
            random: Mutex::new(Random(seed)),
            faults,
            events: Mutex::new(0),
        }
    }

    fn below(&self, end: u64) -> u64 {
        self.random.lock().unwrap().below(end)
    }

    fn delta(&self) -> i64 {
        let delta = self.below(9).cast_signed() - 4;
        if delta == 0 { 5 } else { delta }
    }

    /// A change of our level, by ourselves or as the central system told it.
    fn change(&self, key: &LevelKey, delta: i64, source: Source) {
        let mut events = self.events.lock().unwrap();
        *events += 1;
        self.clock.advance_ms(5);
        let event = StockEvent {
            id: self.ids.event_id(&format!("event {events}")),
            time: self.clock.now(),
            source,
            actor: ActorCode::default(),
            body: EventBody::Delta(Delta::new(delta).unwrap()),
        };
        let applied = finish(Box::pin(apply_group(self.store.inner(), &self.clock, key, std::slice::from_ref(&event))));
        assert_eq!(applied.outcomes, [Outcome::Applied]);
    }

    fn plan(&self, name: &'static str) -> PropagatePlan<'static> {
        PropagatePlan {
            theirs: Some(THEIRS),
            // The breaker has a model of its own.
            breaker: BreakerConfig { threshold: 1_000_000, cooldown_ms: 1, probe_ms: 1 },
            grace_seconds: 30,
            until: self.clock.now().plus_millis(1_000_000_000),
            name,
        }
    }

    fn worker<'a>(&'a self, plan: &'a PropagatePlan<'a>, levels: &'a [(LevelKey, bool)]) -> Work<'a> {
        let deps = PropagateDeps { store: &self.store, central: &self.centre, clock: &self.clock, ids: &self.ids };
        Box::pin(propagate(deps, plan, levels))
    }

    /// Both sides change while workers come and go.
    pub(crate) fn live(&self, silent: bool) {
        for n in 0..LEVELS {
            self.change(&key(n), 1000, Source::api());
        }
        let plan = self.plan("worker");
        let sets: Vec<Vec<_>> = (0..LEVELS).map(|n| vec![(key(n), false)]).collect();
        let all: Vec<_> = (0..LEVELS).map(|n| (key(n), false)).collect();
        let mut workers: Vec<Work<'_>> = Vec::new();
        let mut untold: Vec<(LevelKey, i64)> = Vec::new();
        for _ in 0..400 {
            let level = key(self.below(LEVELS));
            match self.below(14) {
                0 => self.change(&level, self.delta(), Source::api()),
                1 if self.centre.books().levels.contains_key(&level.sku) => {
                    let delta = self.delta();
                    self.centre.books().change(&level.sku, delta);
                    let is_silent = silent && self.below(10) == 0;
                    if !is_silent {
                        untold.push((level, delta));
                    }
                }
                2 if !untold.is_empty() => {
                    let (level, delta) = untold.remove(usize::try_from(self.below(untold.len() as u64)).unwrap());
                    self.change(&level, delta, Source::parse(THEIRS).unwrap());
                }
                3 if workers.len() < 4 => {
                    let levels =
                        if self.below(3) == 0 { &all } else { &sets[usize::try_from(self.below(LEVELS)).unwrap()] };
                    workers.push(self.worker(&plan, levels));
                }
                // It dies, wherever it is.
                4 if !workers.is_empty() && self.below(4) == 0 => {
                    drop(workers.swap_remove(usize::try_from(self.below(workers.len() as u64)).unwrap()));
                }
                5 => {
                    let mut books = self.centre.books();
                    if let Some(late) = books.on_the_way.pop() {
                        books.receive(&late);
                    }
                }
                _ if !workers.is_empty() => {
                    let place = usize::try_from(self.below(workers.len() as u64)).unwrap();
                    let mut context = Context::from_waker(Waker::noop());
                    if let Poll::Ready(report) = workers[place].as_mut().poll(&mut context) {
                        drop(workers.swap_remove(place));
                        assert!(report.conflicts == 0, "differences had no time to disappear");
                    }
                }
                _ => {}
            }
        }
        drop(workers);
        for (level, delta) in untold {
            self.change(&level, delta, Source::parse(THEIRS).unwrap());
        }
        if self.below(2) == 0 {
            let late = std::mem::take(&mut self.centre.books().on_the_way);
            late.iter().for_each(|updates| drop(self.centre.books().receive(updates)));
        }
    }

    /// Nothing fails any more: what is left is pushed, conflicts are settled, and both sides are compared. How many
    /// conflicts there were.
    pub(crate) fn ends_equal(&self, may_conflict: bool) -> Result<u64, String> {
        *self.faults.lock().unwrap() = 0;
        self.centre.books().faults = 0;
        let levels: Vec<_> = (0..LEVELS).map(|n| (key(n), true)).collect();
        let plan = self.plan("last");
        // A difference shows when the central system has another version than we know of and is pushed to. (At the moment of
        // asking, what it has not told us yet may make up for it.)
        for n in 0..LEVELS {
            let key = key(n);
            if self.centre.books().levels.contains_key(&key.sku) {
                self.centre.books().change(&key.sku, 1);
                self.change(&key, 1, Source::parse(THEIRS).unwrap());
            }
            self.change(&key, 1, Source::api());
        }
        let mut found = 0;
        for _ in 0..6 {
            let report = finish(self.worker(&plan, &levels));
            if let Some(fate) = report.fates.values().find(|fate| **fate != PushFate::Done) {
                return Err(format!("a level is left behind: {fate:?}"));
            }
            // What was on its way arrives at last.
            let late = std::mem::take(&mut self.centre.books().on_the_way);
            late.iter().for_each(|updates| drop(self.centre.books().receive(updates)));
            let open = self.open_conflicts();
            if open.is_empty() {
                break;
            }
            found += open.len() as u64;
            for id in open {
                self.resolve(&id);
                self.change(&key(self.below(LEVELS)), self.delta(), Source::api());
            }
        }
        if found > 0 && !may_conflict {
            return Err(format!("{found} conflicts without a reason"));
        }
        let updates = self.centre.books().updates;
        finish(self.worker(&plan, &levels));
        if self.centre.books().updates != updates || !self.open_conflicts().is_empty() {
            return Err("it does not come to rest".to_owned());
        }
        self.compare().map(|()| found)
    }

    fn open_conflicts(&self) -> Vec<String> {
        let organization = OrganizationId::parse("demo").unwrap();
        let page = finish(Box::pin(self.store.inner().conflicts(&organization, Some(true), None, 100))).unwrap();
        page.conflicts.into_iter().map(|conflict| conflict.id).collect()
    }

    fn resolve(&self, id: &str) {
        self.clock.advance_ms(5);
        let choice = match self.below(3) {
            0 => ConflictChoice::Central,
            1 => ConflictChoice::Warehouse,
            _ => ConflictChoice::Quantity(Quantity::new(700).unwrap()),
        };
        let organization = OrganizationId::parse("demo").unwrap();
        let asked = Resolve { organization, id: id.to_owned(), choice, by: "k".to_owned(), actor: ActorCode(7) };
        let deps = CountDeps { store: self.store.inner(), clock: &self.clock, ids: &self.ids };
        let result = finish(Box::pin(resolve_conflict(deps, &asked))).unwrap();
        assert!(matches!(result, ResolveResult::Resolved(_)), "once");
    }

    fn compare(&self) -> Result<(), String> {
        let mut differ = BTreeMap::new();
        for n in 0..LEVELS {
            let ours = finish(Box::pin(self.store.inner().load(&key(n)))).unwrap().unwrap().level.available;
            let theirs = self.centre.books().levels.get(&key(n).sku).map_or(0, |level| level.quantity);
            if ours != theirs {
                differ.insert(n, (ours, theirs));
            }
        }
        if differ.is_empty() { Ok(()) } else { Err(format!("ours and theirs differ: {differ:?}")) }
    }
}
