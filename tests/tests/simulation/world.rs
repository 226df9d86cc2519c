//! One world: the functions run by a cloud that stops them anywhere, over everything that they reach. Step by step in an
//! order that the seed draws: one process goes on, one begins, one dies, time passes. Then the storm ends, and all that
//! is under way comes to rest.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use evenstock_app::QueueName;
use evenstock_app::testing::worlds::{Random, finish as run_to_end};
use evenstock_domain::StoreId;
use evenstock_runtime::testing::{Reply, repeat_ids};
use serde_json::json;

use crate::actors::{Due, Plan};
use crate::endpoint::Marketplace;
use crate::functions::{INSTANCES, Instance, Outside};
use crate::laws::Law;
use crate::met::Met;
use crate::nature::{Draw, Nature};
use crate::stream::{Part, SHARDS};

/// Longer than this no function runs, in milliseconds of the world.
const TIMEOUT_MS: i64 = 28_000;

/// Longer than this nobody runs, not even a publisher that its shard has given up.
const ZOMBIE_MS: i64 = 200_000;

/// Processes at once.
const PROCESSES_MAX: usize = 10;

/// Steps after which a storm that does not end is ended.
const STEPS_MAX: u64 = 60_000;

pub(crate) const QUEUES: [QueueName; 3] = [QueueName::StockChanges, QueueName::Callbacks, QueueName::StoreSync];

/// What a process does, so that the cloud knows what to do when it ends or dies.
#[derive(Debug, Clone)]
pub(crate) enum Duty {
    /// Answers a client.
    Client(usize),
    /// Works on messages.
    Batch(QueueName, Vec<String>),
    /// Follows a part of the stream.
    Stream(Part, usize),
    /// Does what is due: the name of the schedule.
    Tick(&'static str),
}

/// How a process ended.
pub(crate) enum Done {
    Reply(Box<Reply>),
    /// The messages that failed.
    Batch(Vec<String>),
    /// The record that failed.
    Stream(Option<String>),
    Tick,
}

pub(crate) struct Process {
    number: u64,
    duty: Duty,
    begun: i64,
    /// The stream gave it up, and delivers its part to another; it goes on all the same.
    abandoned: bool,
    future: Pin<Box<dyn Future<Output = Done>>>,
}

/// A world.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) plan: Plan,
    pub(crate) outside: Outside,
    pub(crate) nature: Arc<Nature>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) processes: Vec<Process>,
    pub(crate) started: u64,
    next_tick: i64,
    pub(crate) store: StoreId,
    pub(crate) sync_token: String,
    pub(crate) met: Met,
}

impl World {
    pub(crate) fn new(seed: u64, without: Option<Law>) -> Self {
        repeat_ids(Some(seed));
        let nature = Nature::new(seed, without);
        let mut random = Random(seed);
        let plan = Plan::draw(&mut random);
        let marketplace = Marketplace::new(&nature, plan.orders.clone());
        let outside = Outside::new(&nature, marketplace, &mut random);
        let instances = (0..INSTANCES).map(|_| Instance::new(&outside, &mut random)).collect();
        let next_tick = nature.now() + 20_000;
        let store = StoreId::parse("store-1").unwrap();
        let mut world = Self {
            random,
            plan,
            outside,
            nature,
            instances,
            processes: Vec::new(),
            started: 0,
            next_tick,
            store,
            sync_token: "token-1".to_owned(),
            met: Met::default(),
        };
        world.set_up();
        world
    }

    /// Runs until all has come to rest, then looks at everything.
    pub(crate) fn run(mut self) -> Result<Met, String> {
        let outcome = self.storm().and_then(|()| self.heal()).and_then(|()| self.audit());
        repeat_ids(None);
        outcome
            .map(|()| self.met)
            .map_err(|hole| format!("{hole}\nThe last lines of the trace:\n{}", self.nature.last_lines()))
    }

    pub(crate) fn unbroken(&self) -> Result<(), String> {
        self.nature.hole().map_or(Ok(()), Err)
    }

    fn storm(&mut self) -> Result<(), String> {
        self.nature.set_calm(false);
        let mut rest = 400;
        for _ in 0..STEPS_MAX {
            self.step();
            self.unbroken()?;
            if self.plan.due.is_empty() {
                rest -= 1;
                if rest == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    fn step(&mut self) {
        self.met.steps += 1;
        self.nature.pass(self.random.between(0, 12));
        match self.random.below(1000) {
            0..=79 => self.begin_due(),
            80..=149 => self.begin_some_batch(),
            150..=229 => self.begin_stream(),
            230..=239 => self.tick(),
            240..=246 => self.kill(),
            _ => self.go_on(),
        }
        self.time_out();
        if self.processes.is_empty() {
            self.leap();
        }
    }

    /// Nobody is at work: time leaps to where there is something to do.
    fn leap(&mut self) {
        let now = self.nature.now();
        let busy = QUEUES.iter().any(|queue| self.outside.queues.visible(*queue) > 0)
            || !self.outside.store.0.stream.is_read()
            || self.plan.due.first().is_some_and(|(time, ..)| *time <= now);
        if busy {
            return;
        }
        let next = self.plan.due.first().map(|(time, ..)| *time).into_iter();
        let next = next.chain(self.outside.queues.next_visible()).chain([self.next_tick]).min();
        self.nature.pass(next.map_or(0, |next| (next - now).max(0)));
    }

    pub(crate) fn begin(&mut self, duty: Duty, future: impl Future<Output = Done> + 'static) {
        self.started += 1;
        let number = self.started;
        self.nature.tell(|| format!("process {number} begins: {duty:?}"));
        let (begun, future) = (self.nature.now(), Box::pin(future));
        self.processes.push(Process { number, duty, begun, abandoned: false, future });
    }

    pub(crate) fn instance(&mut self) -> usize {
        self.random.place(INSTANCES)
    }

    /// The first thing that is due, if its time has come.
    fn begin_due(&mut self) {
        let first = self.plan.due.first().copied();
        let Some(due) = first.filter(|(time, ..)| *time <= self.nature.now()) else { return };
        if self.processes.len() >= PROCESSES_MAX {
            return;
        }
        self.plan.due.remove(&due);
        match due.2 {
            Due::Try(n) => self.try_client(n),
            Due::Message(n) => self.bring(n),
        }
    }

    fn begin_some_batch(&mut self) {
        let queue = self.random.pick(&QUEUES);
        if self.processes.len() < PROCESSES_MAX && self.outside.queues.visible(queue) > 0 {
            let most = 1 + self.random.place(8);
            self.begin_batch(queue, most);
        }
    }

    pub(crate) fn begin_batch(&mut self, queue: QueueName, most: usize) {
        let (ids, event) = self.outside.queues.receive(queue, if queue == QueueName::StoreSync { 1 } else { most });
        if ids.is_empty() {
            return;
        }
        let instance = self.instance();
        let instance = &self.instances[instance];
        let name = format!("batch-{}", self.started + 1);
        let failed = |response: aws_lambda_events::event::sqs::SqsBatchResponse| {
            Done::Batch(response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect())
        };
        let duty = Duty::Batch(queue, ids);
        match queue {
            QueueName::StockChanges => {
                let worker = Arc::clone(&instance.stock_worker);
                self.begin(duty, async move { failed(evenstock_stock_worker::handle(&worker, event).await.unwrap()) });
            }
            QueueName::Callbacks => {
                let worker = Arc::clone(&instance.callbacks);
                let work =
                    async move { failed(evenstock_callback_worker::handle(&worker, event, &name).await.unwrap()) };
                self.begin(duty, work);
            }
            _ => {
                let worker = Arc::clone(&instance.order_worker);
                self.begin(duty, async move { failed(evenstock_order_worker::handle(&worker, event).await.unwrap()) });
            }
        }
    }

    /// The stream delivers the next records of a shard, one batch at a time; now and then to somebody with an old
    /// checkpoint, while another is still at work.
    fn begin_stream(&mut self) {
        let shard = self.random.place(SHARDS);
        let is_at = |process: &Process| matches!(process.duty, Duty::Stream(part, _) if part.shard == shard);
        let busy = self.processes.iter().any(|process| is_at(process) && !process.abandoned);
        let rival = self.nature.strikes(2);
        if (busy && !rival) || self.processes.len() >= PROCESSES_MAX {
            return;
        }
        let back = if rival { self.random.place(12) } else { 0 };
        if self.outside.store.0.stream.left(shard) + back == 0 {
            return;
        }
        let count = 1 + self.random.place(8);
        self.follow(shard, count, back);
        if rival && let Some(process) = self.processes.last_mut() {
            process.abandoned = true;
        }
    }

    pub(crate) fn follow(&mut self, shard: usize, count: usize, back: usize) {
        let (part, event) = self.outside.store.0.stream.next(shard, count, back);
        if part.from == part.to {
            return;
        }
        if self.nature.lacks(Law::CheckpointLast) {
            self.outside.store.0.stream.followed(part, None);
        }
        let instance = self.instance();
        let publisher = Arc::clone(&self.instances[instance].publisher);
        self.begin(Duty::Stream(part, instance), async move {
            let response = evenstock_change_publisher::handle_records(&publisher, event).await;
            Done::Stream(response.batch_item_failures.into_iter().next().and_then(|failure| failure.item_identifier))
        });
    }

    /// The schedules of the scheduler and of the repair.
    fn tick(&mut self) {
        if self.nature.now() < self.next_tick || self.processes.len() >= PROCESSES_MAX {
            return;
        }
        self.next_tick = self.nature.now() + self.random.between(30_000, 240_000);
        let instance = self.instance();
        self.begin_tick(instance, self.started.is_multiple_of(5));
    }

    pub(crate) fn begin_tick(&mut self, instance: usize, repairs: bool) {
        let instance = &self.instances[instance];
        if repairs {
            let publisher = Arc::clone(&instance.publisher);
            return self.begin(Duty::Tick("repair"), async move {
                // What fails goes on at the next tick.
                drop(evenstock_change_publisher::repair_feeds(&publisher).await);
                Done::Tick
            });
        }
        let scheduler = Arc::clone(&instance.scheduler);
        self.begin(Duty::Tick("scheduler"), async move {
            drop(evenstock_scheduler::handle(&scheduler, json!({ "source": "aws.events" })).await);
            Done::Tick
        });
    }

    /// A process dies where it stands, or its shard gives it up while it goes on.
    fn kill(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let place = self.random.place(self.processes.len());
        let process = &mut self.processes[place];
        if matches!(process.duty, Duty::Stream(..)) && !process.abandoned && self.random.chance(50) {
            process.abandoned = true;
            self.met.abandoned += 1;
            self.nature.tell(|| format!("process {} is given up", process.number));
        } else {
            self.die(place);
        }
    }

    pub(crate) fn die(&mut self, place: usize) {
        self.met.died += 1;
        let Process { number, duty, .. } = self.processes.swap_remove(place);
        self.nature.tell(|| format!("process {number} dies"));
        match duty {
            Duty::Client(n) => self.not_told(n),
            Duty::Stream(_, instance) => self.instances[instance].renew_publisher(&self.outside, &mut self.random),
            Duty::Batch(..) => {}
            Duty::Tick(schedule) => self.nature.tell(|| format!("{schedule} is left undone")),
        }
    }

    fn time_out(&mut self) {
        let now = self.nature.now();
        let late = |process: &Process| now - process.begun > if process.abandoned { ZOMBIE_MS } else { TIMEOUT_MS };
        while let Some(place) = self.processes.iter().position(late) {
            self.die(place);
        }
    }

    fn go_on(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let place = self.random.place(self.processes.len());
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(done) = self.processes[place].future.as_mut().poll(&mut context) {
            let process = self.processes.swap_remove(place);
            self.ended(process, done);
        }
    }

    fn ended(&mut self, process: Process, done: Done) {
        let number = process.number;
        match (process.duty, done) {
            (Duty::Client(n), Done::Reply(reply)) => self.told(n, number, *reply),
            (Duty::Batch(queue, ids), Done::Batch(failed)) => {
                self.nature.tell(|| format!("process {number} ends, failed: {failed:?}"));
                let settled: Vec<_> = ids.into_iter().filter(|id| !failed.contains(id)).collect();
                self.outside.queues.acknowledge(queue, &settled);
            }
            (Duty::Stream(part, _), Done::Stream(failed)) => {
                self.nature.tell(|| format!("process {number} ends, failed: {failed:?}"));
                if !process.abandoned {
                    self.outside.store.0.stream.followed(part, failed.as_deref());
                }
            }
            _ => self.nature.tell(|| format!("process {number} ends")),
        }
    }

    /// Runs everything that is under way to its end, in the order that the seed draws.
    pub(crate) fn finish_all(&mut self) {
        while !self.processes.is_empty() {
            self.nature.pass(1);
            self.go_on();
        }
    }
}

/// Runs a future to its end.
pub(crate) fn finish<T>(work: impl Future<Output = T>) -> T {
    run_to_end(Box::pin(work))
}
