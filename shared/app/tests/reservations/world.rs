//! One world: makers, enders, a sweeper, a stream and deliveries, run step by step in a random order.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use evenstock_app::testing::worlds::{Random, SkewedClock, finish};
use evenstock_app::testing::{Fault, FaultyStore};
use evenstock_app::{
    Clock, ReservationDeps, Reserve, ReserveResult, Settle, SettleResult, StockStore, SweepLimits, Wanted, apply_group,
    complete, reserve, settle, sweep,
};
use evenstock_domain::{
    ActorCode, Delta, EventBody, EventIdKey, LevelKey, Line, LocationId, Means, OrganizationId, Quantity, Reservation,
    ReservationId, Sku, Source, StockEvent, Timestamp,
};

use crate::store::{Law, Streaming};

/// What somebody was told of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// It is held: the maker, what it was told of the levels.
    Held(usize, Vec<(u64, i64)>),
    Released,
    Fulfilled,
}

#[derive(Debug, Clone)]
enum Work {
    Make(usize),
    End(ReservationId, Wanted),
    Sweep,
    Follow(Box<Reservation>),
    Restock(usize),
}

type Process = (i64, Work, Pin<Box<dyn Future<Output = bool>>>);
pub(crate) type Store = FaultyStore<Streaming>;

pub(crate) struct Shared {
    pub(crate) store: Store,
    clock: SkewedClock,
    ids: EventIdKey,
    pub(crate) said: Mutex<Vec<(ReservationId, Said)>>,
}

pub(crate) struct World {
    random: Random,
    without: Option<Law>,
    pub(crate) shared: Arc<Shared>,
    calm: Arc<AtomicBool>,
    asked: Vec<Reserve>,
    pub(crate) restocks: Vec<(LevelKey, StockEvent)>,
    todo: Vec<Work>,
}

const START: i64 = 1_700_000_000_000;
const STEPS: u64 = 400;
pub(crate) const LEVELS: u64 = 3;
pub(crate) const INITIAL: i64 = 5;

/// Longer than a reservation may be in the making, so that slow makers meet those who gave it up.
const LIFETIME_MS: i64 = 300_000;

pub(crate) fn key(n: u64) -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("org").unwrap(),
        sku: Sku::parse(&format!("sku-{n}")).unwrap(),
        location: LocationId::parse("main").unwrap(),
    }
}

fn event(ids: &EventIdKey, name: &str, time: i64, body: EventBody) -> StockEvent {
    let time = Timestamp::from_millis(time).unwrap();
    StockEvent { id: ids.event_id(name), time, source: Source::api(), actor: ActorCode(0), body }
}

impl World {
    pub(crate) fn new(seed: u64, without: Option<Law>) -> Self {
        let (mut random, mut faults) = (Random(seed), Random(seed ^ 0xf00d));
        let calm = Arc::new(AtomicBool::new(true));
        let quiet = Arc::clone(&calm);
        let store = FaultyStore::new(Streaming::new(without), move |_| match faults.below(100) {
            _ if quiet.load(Ordering::SeqCst) => Fault::None,
            0..=2 => Fault::NotDone,
            3..=4 => Fault::UnknownNotDone,
            5..=7 => Fault::UnknownDone,
            _ => Fault::None,
        });
        let ids = EventIdKey::new(*b"model-model-mode");
        let clock = SkewedClock { world: Arc::new(AtomicI64::new(START)), skew_ms: 0 };
        let shared = Arc::new(Shared { store, clock, ids, said: Mutex::default() });
        for n in 0..LEVELS {
            let body =
                EventBody::Count { quantity: Quantity::new(INITIAL).unwrap(), means: Means::OnHand, sequence: 0 };
            let initial = [event(&shared.ids, "initial", START - 1000, body)];
            finish(Box::pin(apply_group(&shared.store, &shared.clock, &key(n), &initial)));
        }
        let makers = 2 + random.below(6) as usize;
        let asked = (0..makers).map(|n| ask(&mut random, n)).collect();
        let restocks: Vec<_> = (0..random.below(8))
            .map(|n| {
                let body = EventBody::Delta(Delta::new(random.between(1, 3)).unwrap());
                (key(random.below(LEVELS)), event(&shared.ids, &format!("restock-{n}"), START + 1000, body))
            })
            .collect();
        let mut todo: Vec<_> = (0..restocks.len()).map(Work::Restock).collect();
        for n in 0..makers {
            todo.extend((0..=random.below(3)).map(|_| Work::Make(n)));
        }
        Self { random, without, shared, calm, asked, restocks, todo }
    }

    /// Runs until everything has healed, then audits; how many reservations ended held, released, fulfilled, expired.
    pub(crate) fn run(mut self) -> Result<[u64; 4], String> {
        self.calm.store(false, Ordering::SeqCst);
        let mut running: Vec<Process> = Vec::new();
        for _ in 0..STEPS {
            if running.is_empty() || (running.len() < 8 && self.random.chance(20)) {
                let process = self.start();
                running.push(process);
            }
            let leap = if self.random.chance(2) { 100_000 } else { 500 };
            let now = self.shared.clock.world.fetch_add(self.random.between(0, leap), Ordering::SeqCst);
            let place = self.random.below(running.len() as u64) as usize;
            if self.random.chance(2) || now - running[place].0 > LIFETIME_MS {
                let (_, work, _) = running.swap_remove(place);
                self.again(work);
            } else if let Poll::Ready(done) = running[place].2.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                let (_, work, _) = running.swap_remove(place);
                if !done {
                    self.again(work);
                }
            }
            self.nobody_has_what_is_not_there()?;
        }
        // Some of those who still run die, some end their work long after everything else was healed.
        let mut left = Vec::new();
        for (_, work, process) in running {
            if self.random.chance(50) {
                left.push((work, process));
            } else {
                self.again(work);
            }
        }
        self.heal()?;
        for (work, mut process) in left {
            let mut context = Context::from_waker(Waker::noop());
            let steps = self.random.below(60);
            let ended = (0..steps).find_map(|_| match process.as_mut().poll(&mut context) {
                Poll::Ready(done) => Some(done),
                Poll::Pending => None,
            });
            if ended != Some(true) {
                self.again(work);
            }
        }
        self.heal()?;
        self.audit()
    }

    /// Deliveries come again; clients, timers and makers may not.
    fn again(&mut self, work: Work) {
        if matches!(work, Work::Follow(_) | Work::Restock(_)) || self.random.chance(30) {
            self.todo.push(work);
        }
    }

    fn start(&mut self) -> Process {
        let now = self.shared.clock.world.load(Ordering::SeqCst);
        let all = self.shared.store.inner().inner.reservations();
        let work = match self.random.below(10) {
            0..=3 if !self.todo.is_empty() => self.todo.swap_remove(self.random.below(self.todo.len() as u64) as usize),
            4..=6 if !all.is_empty() => {
                let wanted = match self.random.below(5) {
                    0 | 1 => Wanted::Release,
                    2 | 3 => Wanted::Fulfil,
                    _ => Wanted::Extend { ttl_seconds: self.random.between(1, 200) },
                };
                Work::End(all[self.random.below(all.len() as u64) as usize].id.clone(), wanted)
            }
            7 | 8 => self.next_of_stream().unwrap_or(Work::Sweep),
            _ => Work::Sweep,
        };
        let future = self.process(work.clone());
        (now, work, future)
    }

    fn next_of_stream(&mut self) -> Option<Work> {
        let mut stream = self.shared.store.inner().stream.lock().unwrap();
        (!stream.is_empty()).then(|| Work::Follow(Box::new(stream.remove(0))))
    }

    fn process(&self, work: Work) -> Pin<Box<dyn Future<Output = bool>>> {
        let (shared, follows) = (Arc::clone(&self.shared), self.without != Some(Law::Stream));
        match work {
            Work::Make(n) => {
                let asked = self.asked[n].clone();
                Box::pin(async move { make(&shared, n, &asked).await })
            }
            Work::End(id, wanted) => Box::pin(async move { end(&shared, id, wanted).await }),
            Work::Sweep => {
                Box::pin(
                    async move { sweep(shared.deps(), SweepLimits { page: 2, until: Timestamp::MAX }).await.is_ok() },
                )
            }
            Work::Follow(reservation) => {
                Box::pin(async move { !follows || complete(shared.deps(), &reservation).await.is_ok() })
            }
            Work::Restock(n) => {
                let (key, fact) = self.restocks[n].clone();
                Box::pin(
                    async move { apply_group(&shared.store, &shared.clock, &key, &[fact]).await.failure.is_none() },
                )
            }
        }
    }

    /// What the stream and the sweeper do once the store is well and what is pending has become old.
    fn heal(&mut self) -> Result<(), String> {
        self.calm.store(true, Ordering::SeqCst);
        self.shared.clock.world.fetch_add(250_000, Ordering::SeqCst);
        let mut works = vec![Work::Sweep];
        works.extend(self.todo.drain(..).filter(|work| matches!(work, Work::Follow(_) | Work::Restock(_))));
        for work in works {
            finish(self.process(work));
        }
        while let Some(work) = self.next_of_stream() {
            finish(self.process(work));
        }
        self.nobody_has_what_is_not_there()
    }

    fn nobody_has_what_is_not_there(&self) -> Result<(), String> {
        for n in 0..LEVELS {
            let stored = finish(Box::pin(self.shared.store.inner().inner.load(&key(n)))).unwrap().unwrap();
            let (available, reserved) = (stored.level.available, stored.level.reserved);
            if available < 0 || reserved < 0 {
                return Err(format!("level {n} has {available} available and {reserved} reserved"));
            }
        }
        Ok(())
    }
}

impl Shared {
    fn deps(&self) -> ReservationDeps<'_, Store, SkewedClock> {
        ReservationDeps { store: &self.store, clock: &self.clock, ids: &self.ids }
    }
}

/// One to three levels, most under a key.
fn ask(random: &mut Random, n: usize) -> Reserve {
    let mut lines = Vec::new();
    let first = random.below(LEVELS);
    for place in 0..=random.below(LEVELS) {
        let LevelKey { sku, location, .. } = key((first + place) % LEVELS);
        lines.push(Line { sku, location, units: random.between(1, 3) });
    }
    Reserve {
        organization: key(0).organization,
        order_id: None,
        lines,
        ttl_seconds: [20, 100, 100_000][random.below(3) as usize],
        expected_version: None,
        idempotency: Some((format!("key-{n}"), [1; 32])),
        new_id: ReservationId::parse(&format!("r{n}")).unwrap(),
        actor: ActorCode(1),
    }
}

async fn make(shared: &Shared, n: usize, asked: &Reserve) -> bool {
    match reserve(shared.deps(), asked).await {
        Ok(ReserveResult::Reserved { reservation, placed, .. }) => {
            let levels = placed.into_iter().flatten().map(|placed| (placed.version, placed.available_after)).collect();
            shared.said.lock().unwrap().push((reservation.id, Said::Held(n, levels)));
            true
        }
        Ok(_) => true,
        Err(_) => false,
    }
}

async fn end(shared: &Shared, id: ReservationId, wanted: Wanted) -> bool {
    let organization = key(0).organization;
    let time = shared.deps().clock.now();
    let asked = Settle { organization, id: id.clone(), wanted, time, known: false, actor: ActorCode(1) };
    let said = match (settle(shared.deps(), &asked).await, wanted) {
        (Err(_), _) => return false,
        (Ok(SettleResult::Settled { .. }), Wanted::Release) => Said::Released,
        (Ok(SettleResult::Settled { .. }), Wanted::Fulfil) => Said::Fulfilled,
        _ => return true,
    };
    shared.said.lock().unwrap().push((id, said));
    true
}
