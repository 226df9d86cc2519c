//! One world: writers, the stream with its shards, publishers, readers and the deletion of old pages, run step by step
//! in a random order.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use evenstock_app::testing::worlds::{Random, SkewedClock, finish};
use evenstock_app::testing::{Fault, FaultyStore};
use evenstock_app::{Candidate, Clock, FeedDeps, RecentPages, publish};
use evenstock_domain::{Change, ChangeType, EventId, FeedLimits, LocationId, OrganizationId, Sku, Source, Timestamp};

use crate::reader::{Levels, Reader};
use crate::store::{Law, Logged};

const START: i64 = 1_700_000_000_000;
const STEPS: u64 = 500;
const SHARDS: u64 = 3;
const LEVELS_EACH: u64 = 2;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// No call lives longer than this, however long it was frozen.
const LIFETIME_MS: i64 = 20 * HOUR_MS;

/// How long a put may be on its way.
const LATE_MS: i64 = 5 * MINUTE_MS;

pub(crate) fn organization() -> OrganizationId {
    OrganizationId::parse("org").unwrap()
}

/// A level: its shard and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(u64, u64);

impl Level {
    pub(crate) fn of(change: &Change) -> Self {
        let number = |text: &str| text.parse().unwrap_or(u64::MAX);
        Self(number(change.location.as_str()), number(change.sku.as_str()))
    }
}

/// What the worlds met.
#[derive(Debug, Default)]
pub(crate) struct Met {
    pub(crate) changes: u64,
    pub(crate) died: u64,
    pub(crate) abandoned: u64,
    pub(crate) arrived_late: u64,
    pub(crate) idle: u64,
    pub(crate) moved: u64,
    pub(crate) begun_anew: u64,
}

impl Met {
    pub(crate) fn add(&mut self, other: &Self) {
        self.changes += other.changes;
        self.died += other.died;
        self.abandoned += other.abandoned;
        self.arrived_late += other.arrived_late;
        self.idle += other.idle;
        self.moved += other.moved;
        self.begun_anew += other.begun_anew;
    }

    pub(crate) fn is_rich(&self) -> bool {
        [self.changes, self.died, self.abandoned, self.arrived_late, self.idle, self.moved, self.begun_anew]
            .iter()
            .all(|count| *count > 50)
    }
}

pub(crate) type Store = FaultyStore<Logged>;

struct Shard {
    /// Records, each with the changes that it tells of.
    records: Vec<Vec<Candidate>>,
    /// Records that were acknowledged.
    done: usize,
}

/// A publisher at work on a part of a shard.
struct Work {
    shard: usize,
    end: usize,
    begun: i64,
    /// The stream gave it up and delivers its batch to another.
    abandoned: bool,
    future: Pin<Box<dyn Future<Output = bool>>>,
}

pub(crate) struct World {
    random: Random,
    without: Option<Law>,
    pub(crate) store: Arc<Store>,
    time: Arc<AtomicI64>,
    calm: Arc<AtomicBool>,
    pub(crate) table: Levels,
    shards: Vec<Shard>,
    readers: Vec<Reader>,
    works: Vec<Work>,
    /// What instances know, shared by the calls that they serve one after the other.
    instances: Vec<Arc<RecentPages>>,
    pub(crate) told: Arc<Mutex<Vec<(Change, u64)>>>,
    limits: FeedLimits,
    met: Met,
}

impl World {
    pub(crate) fn new(seed: u64, without: Option<Law>) -> Self {
        let (mut random, mut faults) = (Random(seed), Random(seed ^ 0xf00d));
        let calm = Arc::new(AtomicBool::new(false));
        let quiet = Arc::clone(&calm);
        let store = FaultyStore::new(Logged::new(without), move |_| match faults.below(100) {
            _ if quiet.load(Ordering::SeqCst) => Fault::None,
            0..=2 => Fault::NotDone,
            3..=4 => Fault::UnknownNotDone,
            5..=8 => Fault::UnknownDone,
            _ => Fault::None,
        });
        // Small, so that pages fill and the ceiling is met.
        let limits = FeedLimits {
            retention_ms: 24 * HOUR_MS,
            page_changes: 1 + random.below(4) as usize,
            page_bytes: 16 * 1024,
            ceiling_step: 1 + random.below(12),
        };
        let shard = || Shard { records: Vec::new(), done: 0 };
        Self {
            random,
            without,
            store: Arc::new(store),
            time: Arc::new(AtomicI64::new(START)),
            calm,
            table: Levels::new(),
            shards: (0..SHARDS).map(|_| shard()).collect(),
            readers: vec![Reader::default(), Reader::default()],
            works: Vec::new(),
            instances: (0..4).map(|_| Arc::default()).collect(),
            told: Arc::default(),
            limits,
            met: Met::default(),
        }
    }

    /// Runs until every record was published and every reader has read all.
    pub(crate) fn run(mut self) -> Result<Met, String> {
        for _ in 0..STEPS {
            match self.random.below(20) {
                0..=2 => self.write(),
                3..=5 => self.begin(),
                6 => self.give_up(),
                7 => self.read()?,
                8 if self.random.chance(25) => self.pass_long_time(),
                9 => self.arrive(),
                _ => self.go_on(),
            }
            let leap = if self.random.chance(3) { 10 * MINUTE_MS } else { 400 };
            self.time.fetch_add(self.random.between(0, leap), Ordering::SeqCst);
        }
        self.heal()?;
        self.audit()?;
        self.everybody_reads_all()?;
        let moved = self.inner().markers.lock().unwrap().iter().filter(|marker| marker.start > 1).count() as u64;
        let begun_anew = self.readers.iter().map(|reader| reader.begun).sum();
        Ok(Met { moved, begun_anew, ..self.met })
    }

    fn inner(&self) -> &Logged {
        FaultyStore::inner(&*self.store)
    }

    fn now(&self) -> i64 {
        self.time.load(Ordering::SeqCst)
    }

    /// One write of one level: one change or several.
    fn write(&mut self) {
        let (shard, sku) = (self.random.below(SHARDS), self.random.below(LEVELS_EACH));
        let now = self.now();
        let state = self.table.entry(Level(shard, sku)).or_default();
        let mut record = Vec::new();
        for _ in 0..=self.random.below(3) {
            let delta = self.random.between(-5, 5);
            *state = (state.0 + 1, state.1 + delta);
            let change = Change {
                sku: Sku::parse(&sku.to_string()).unwrap(),
                location: LocationId::parse(&shard.to_string()).unwrap(),
                version: state.0,
                kind: ChangeType::StockSet,
                delta,
                quantity: state.1,
                reserved: 0,
                source: Source::api(),
                event_id: EventId([0; 8]),
                at: Timestamp::EPOCH.plus_millis(now),
            };
            // The stream tells whole seconds.
            let recorded_at = Timestamp::EPOCH.plus_millis(now / 1000 * 1000);
            record.push(Candidate { change, recorded_at });
            self.met.changes += 1;
        }
        self.shards[shard as usize].records.push(record);
    }

    /// The stream delivers the next records of a shard, unless somebody is at work on it.
    fn begin(&mut self) {
        let shard = self.random.below(SHARDS) as usize;
        let Shard { records, done } = &self.shards[shard];
        let busy = self.works.iter().any(|work| work.shard == shard && !work.abandoned);
        if busy || *done == records.len() {
            return;
        }
        let end = (done + 1 + self.random.below(4) as usize).min(records.len());
        let batch: Vec<_> = records[*done..end].concat();
        let future = self.publisher(batch);
        self.works.push(Work { shard, end, begun: self.now(), abandoned: false, future });
    }

    fn publisher(&mut self, batch: Vec<Candidate>) -> Pin<Box<dyn Future<Output = bool>>> {
        let skew_ms = self.random.between(-MINUTE_MS, MINUTE_MS);
        let clock = SkewedClock { world: Arc::clone(&self.time), skew_ms };
        let (store, limits, told) = (Arc::clone(&self.store), self.limits, Arc::clone(&self.told));
        let recent = Arc::clone(&self.instances[self.random.below(4) as usize]);
        Box::pin(async move {
            let deps = FeedDeps { store: &*store, clock: &clock, limits: &limits, recent: &recent };
            match publish(deps, &organization(), &batch).await {
                Ok(seqs) => {
                    assert_eq!(seqs.len(), batch.len(), "each change has a number");
                    let mut told = told.lock().unwrap();
                    told.extend(batch.into_iter().map(|one| one.change).zip(seqs));
                    true
                }
                Err(_) => false,
            }
        })
    }

    /// A publisher dies, or is given up and goes on all the same.
    fn give_up(&mut self) {
        if self.works.is_empty() {
            return;
        }
        let place = self.random.below(self.works.len() as u64) as usize;
        if self.random.chance(50) {
            self.works.swap_remove(place);
            self.met.died += 1;
        } else if !self.works[place].abandoned {
            self.works[place].abandoned = true;
            self.met.abandoned += 1;
        }
    }

    fn go_on(&mut self) {
        if self.works.is_empty() {
            return;
        }
        if self.random.chance(2) {
            *self.inner().delay_next.lock().unwrap() = true;
        }
        let place = self.random.below(self.works.len() as u64) as usize;
        let Poll::Ready(done) = self.works[place].future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            return;
        };
        let Work { shard, end, abandoned, .. } = self.works.swap_remove(place);
        if done && !abandoned {
            self.shards[shard].done = end;
        }
    }

    /// A put that its caller gave up arrives.
    fn arrive(&mut self) {
        let mut late = std::mem::take(&mut *self.inner().late.lock().unwrap());
        if !late.is_empty() {
            let page = late.swap_remove(self.random.below(late.len() as u64) as usize);
            finish(Box::pin(self.inner().arrive(&organization(), page)));
            self.met.arrived_late += 1;
        }
        *self.inner().late.lock().unwrap() = late;
    }

    fn read(&mut self) -> Result<(), String> {
        let place = self.random.below(self.readers.len() as u64) as usize;
        let limit = 1 + self.random.below(6) as usize;
        let skew = self.random.between(-MINUTE_MS, MINUTE_MS);
        let now = Timestamp::EPOCH.plus_millis(self.now() + skew);
        let store = FaultyStore::inner(&*self.store);
        self.readers[place].step(store, self.without, &self.table, limit, now).map(|_| ())
    }

    /// Hours or days in which nobody writes. Old pages are deleted at their time, later, or in the middle of work.
    fn pass_long_time(&mut self) {
        self.met.idle += 1;
        // The stream keeps its records for a day, and may lag for hours.
        let short = self.random.chance(50);
        while !short && self.shards.iter().any(|shard| shard.done < shard.records.len()) {
            self.begin_everywhere();
            self.go_on();
        }
        while !self.inner().late.lock().unwrap().is_empty() {
            self.arrive();
        }
        let hours = if short { 1 + self.random.below(3) } else { [23, 26, 71, 73, 80][self.random.below(5) as usize] };
        let leap = hours as i64 * HOUR_MS + self.random.between(-2 * MINUTE_MS, 2 * MINUTE_MS);
        let end = self.now() + leap;
        self.works.retain(|work| end - work.begun < LIFETIME_MS);
        self.time.store(end, Ordering::SeqCst);
        if self.random.chance(70) {
            let until = end - self.random.between(0, LATE_MS);
            self.inner().memory.delete_old_change_pages(Timestamp::EPOCH.plus_millis(until));
        }
    }

    fn begin_everywhere(&mut self) {
        for _ in 0..SHARDS {
            self.begin();
        }
    }

    /// The store is well again, and everything that was written is published.
    fn heal(&mut self) -> Result<(), String> {
        self.calm.store(true, Ordering::SeqCst);
        // Some of those who were given up go on to the end.
        for _ in 0..20_000 {
            let drained = self.shards.iter().all(|shard| shard.done == shard.records.len());
            if drained && self.works.is_empty() {
                while !self.inner().late.lock().unwrap().is_empty() {
                    self.arrive();
                }
                return Ok(());
            }
            self.begin_everywhere();
            self.go_on();
            if self.random.chance(5) {
                self.arrive();
            }
        }
        Err("it never ends".to_owned())
    }

    fn everybody_reads_all(&mut self) -> Result<(), String> {
        // One who begins now with the number 0 must come to the same.
        self.readers.push(Reader::default());
        let clock = SkewedClock { world: Arc::clone(&self.time), skew_ms: 0 };
        let logged = FaultyStore::inner(&*self.store);
        for (place, reader) in self.readers.iter_mut().enumerate() {
            let mut steps = 0;
            while !reader.step(logged, self.without, &self.table, 3, clock.now())? {
                steps += 1;
                if steps > 10_000 {
                    return Err("a reader never ends".to_owned());
                }
            }
            if reader.levels != self.table {
                return Err(format!("reader {place} has {:?}, the table {:?}", reader.levels, self.table));
            }
        }
        Ok(())
    }
}
