//! One world: the functions run by a cloud that stops them anywhere, over everything that they reach. Step by step in an
//! order that the seed draws: one process goes on, one begins, one dies, time passes. Then the storm ends, and all that
//! is under way comes to rest.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use evenstock_app::testing::MemorySealer;
use evenstock_app::testing::worlds::{Random, SkewedClock, finish as run_to_end};
use evenstock_app::{
    CallbackJob, MarketplaceStores, Outgoing, QueueName, RegisterStore, SealError, Sealer, SecretText, StockStore,
    register_endpoint, register_store, secret_context,
};
use evenstock_domain::{
    DeliveryState, EndpointId, LocationId, Marketplace as Channel, ReservationState, Secrets, StoreId, Subscription,
    Timestamp,
};
use evenstock_runtime::testing::{Reply, ask, repeat_ids};
use serde_json::{Value, json};

use crate::actors::{Ask, Due, LOW_STOCK, Plan, delivery, message};
use crate::endpoint::Marketplace;
use crate::functions::{INSTANCES, Instance, Outside, organization};
use crate::laws::Law;
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

/// Batches that what waits after a storm may take.
const TURNS_MAX: u32 = 1_000;

const QUEUES: [QueueName; 3] = [QueueName::StockChanges, QueueName::Callbacks, QueueName::StoreSync];

/// What a process does, so that the cloud knows what to do when it ends or dies.
#[derive(Debug, Clone)]
enum Duty {
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
enum Done {
    Reply(Box<Reply>),
    /// The messages that failed.
    Batch(Vec<String>),
    /// The record that failed.
    Stream(Option<String>),
    Tick,
}

struct Process {
    number: u64,
    duty: Duty,
    begun: i64,
    /// The stream gave it up, and delivers its part to another; it goes on all the same.
    abandoned: bool,
    future: Pin<Box<dyn Future<Output = Done>>>,
}

/// What the worlds met, so that a run can be seen to have tried something.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Met {
    pub(crate) steps: u64,
    pub(crate) died: u64,
    pub(crate) abandoned: u64,
    pub(crate) changes: u64,
    pub(crate) calls: u64,
    pub(crate) refused: u64,
    pub(crate) lost: u64,
    pub(crate) expired: u64,
    pub(crate) orders: u64,
    pub(crate) given_up: u64,
}

impl Met {
    pub(crate) fn add(&mut self, other: Self) {
        let both = |mine: &mut u64, theirs: u64| *mine += theirs;
        both(&mut self.steps, other.steps);
        both(&mut self.died, other.died);
        both(&mut self.abandoned, other.abandoned);
        both(&mut self.changes, other.changes);
        both(&mut self.calls, other.calls);
        both(&mut self.refused, other.refused);
        both(&mut self.lost, other.lost);
        both(&mut self.expired, other.expired);
        both(&mut self.orders, other.orders);
        both(&mut self.given_up, other.given_up);
    }

    pub(crate) fn least(&self) -> u64 {
        let Self { steps, died, abandoned, changes, calls, refused, lost, expired, orders, given_up } = *self;
        [steps, died, abandoned, changes, calls, refused, lost, expired, orders, given_up].into_iter().min().unwrap()
    }
}

/// A world.
pub(crate) struct World {
    random: Random,
    pub(crate) plan: Plan,
    pub(crate) outside: Outside,
    pub(crate) nature: Arc<Nature>,
    instances: Vec<Instance>,
    processes: Vec<Process>,
    started: u64,
    next_tick: i64,
    pub(crate) store: StoreId,
    sync_token: String,
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

    /// The levels have their first counts and a threshold, somebody wants to be told, and a store is registered.
    fn set_up(&mut self) {
        let clock = self.nature.clock(0);
        let store = self.outside.store.clone();
        for n in 0..self.plan.first_facts {
            self.bring(n);
            self.begin_batch(QueueName::StockChanges, 1);
            self.finish_all();
        }
        finish(register_all(&store, &clock, &self.store, &self.sync_token));
        for level in &self.plan.levels {
            let body = json!({ "storeId": level.key.location.as_str(), "lowStock": LOW_STOCK });
            let path = format!("/inventory/{}/policy", level.key.sku);
            let request = axum::http::Request::put(path).header("x-api-key", "key");
            let request = request.body(axum::body::Body::from(body.to_string())).unwrap();
            let reply = finish(ask(&self.instances[0].inventory, request));
            assert_eq!(reply.status, 200, "{}", reply.text);
        }
    }

    /// Runs until all has come to rest, then looks at everything.
    pub(crate) fn run(mut self) -> Result<Met, String> {
        let outcome = self.storm().and_then(|()| self.heal()).and_then(|()| self.audit());
        repeat_ids(None);
        outcome.map(|()| self.met).map_err(|hole| format!("{hole}\nThe last lines of the trace:\n{}", self.nature.last_lines()))
    }

    fn unbroken(&self) -> Result<(), String> {
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

    fn begin(&mut self, duty: Duty, future: impl Future<Output = Done> + 'static) {
        self.started += 1;
        let number = self.started;
        self.nature.tell(|| format!("process {number} begins: {duty:?}"));
        let (begun, future) = (self.nature.now(), Box::pin(future));
        self.processes.push(Process { number, duty, begun, abandoned: false, future });
    }

    fn instance(&mut self) -> usize {
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

    /// A source's fact reaches the queue: whoever brings it does so until it is taken.
    fn bring(&mut self, n: usize) {
        let body = message(&self.plan.levels, &self.plan.facts[n], n).to_json().unwrap();
        self.outside.queues.take(QueueName::StockChanges, Outgoing::now(body, organization()));
    }

    /// A client sends its request, always the same one.
    fn try_client(&mut self, n: usize) {
        let Some(request) = self.request_of(n) else {
            // What it is about is not there yet, or never will be.
            let client = &mut self.plan.clients[n];
            if client.tries_left > 0 {
                client.tries_left -= 1;
                let later = self.nature.now() + self.random.between(1_000, 30_000);
                self.plan.at(later, Due::Try(n));
            }
            return;
        };
        let client = &mut self.plan.clients[n];
        client.running += 1;
        let http = client.http(&request);
        client.request = Some(request);
        let function = client.function();
        let instance = self.instance();
        let instance = &self.instances[instance];
        let router = match function {
            "webhook" => instance.webhook.clone(),
            "orders-api" => instance.orders.clone(),
            _ => instance.inventory.clone(),
        };
        self.begin(Duty::Client(n), async move { Done::Reply(Box::new(ask(&router, http).await)) });
    }

    /// The version that a client saw last, which may be an old one.
    fn version_seen(&mut self, level: usize) -> u64 {
        let stored = finish(self.outside.store.memory().load(&self.plan.levels[level].key)).unwrap();
        let version = stored.map_or(0, |stored| stored.level.version);
        if self.random.chance(20) { version.saturating_sub(1) } else { version }
    }

    /// The request of a client as it was first made. `None` while there is nothing that it could be about.
    fn request_of(&mut self, n: usize) -> Option<(String, Value)> {
        let client = &self.plan.clients[n];
        if let Some(request) = &client.request {
            return Some(request.clone());
        }
        let key = client.key.clone();
        let name = |world: &Self, level: usize| {
            let key = &world.plan.levels[level].key;
            (key.sku.to_string(), key.location.to_string())
        };
        Some(match client.ask.clone() {
            Ask::Webhook { fact } => {
                ("/webhooks/marketplace-a".to_owned(), delivery(&self.plan.levels, &self.plan.facts[fact]))
            }
            Ask::Update { level, delta, versioned } => {
                let version = versioned.then(|| self.version_seen(level));
                let (sku, location) = name(self, level);
                let body = json!({ "storeId": location, "productId": sku, "delta": delta, "version": version,
                                   "idempotencyKey": key });
                ("/inventory/updates".to_owned(), body)
            }
            Ask::Adjust { level, delta, versioned } => {
                let (sku, location) = name(self, level);
                let mut body = json!({ "delta": delta });
                if versioned {
                    body["expectedVersion"] = self.version_seen(level).into();
                }
                (format!("/api/inventory/stores/{location}/inventory/{sku}/adjust"), body)
            }
            Ask::Reserve { lines, ttl_seconds } => {
                let line = |(level, units): &(usize, i64)| {
                    let (sku, location) = name(self, *level);
                    json!({ "sku": sku, "storeId": location, "qty": units })
                };
                let lines: Vec<_> = lines.iter().map(line).collect();
                let body = json!({ "orderId": format!("o-{n}"), "ttlSeconds": ttl_seconds, "lines": lines });
                ("/reservations".to_owned(), body)
            }
            Ask::End { reserve, wanted } => {
                let id = self.plan.clients[reserve].granted()?["reservationId"].as_str()?.to_owned();
                let body = if wanted == "extend" { json!({ "ttlSeconds": 60 }) } else { json!({}) };
                (format!("/reservations/{id}/{wanted}"), body)
            }
            Ask::Sync { location, replace, quantities } => {
                let mut products = Vec::new();
                for (level, quantity) in quantities {
                    let version = self.version_seen(level);
                    products.push(json!({ "id": name(self, level).0, "qty": quantity, "version": version }));
                }
                let mode = if replace { "replace" } else { "merge" };
                ("/inventory/sync".to_owned(), json!({ "storeId": location, "mode": mode, "products": products }))
            }
            Ask::Import { receipt } => {
                ("/orders/import".to_owned(), json!({ "syncToken": self.sync_token, "receipt": receipt }))
            }
            Ask::Cancel { receipt } => {
                ("/orders/cancel".to_owned(), json!({ "syncToken": self.sync_token, "receipt": receipt }))
            }
        })
    }

    fn begin_some_batch(&mut self) {
        let queue = self.random.pick(&QUEUES);
        if self.processes.len() < PROCESSES_MAX && self.outside.queues.visible(queue) > 0 {
            let most = 1 + self.random.place(8);
            self.begin_batch(queue, most);
        }
    }

    fn begin_batch(&mut self, queue: QueueName, most: usize) {
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
                let work = async move { failed(evenstock_callback_worker::handle(&worker, event, &name).await.unwrap()) };
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

    fn follow(&mut self, shard: usize, count: usize, back: usize) {
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

    fn begin_tick(&mut self, instance: usize, repairs: bool) {
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

    fn die(&mut self, place: usize) {
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
        let late = |process: &Process| {
            now - process.begun > if process.abandoned { ZOMBIE_MS } else { TIMEOUT_MS }
        };
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

    /// A client gets an answer.
    fn told(&mut self, n: usize, number: u64, reply: Reply) {
        self.nature.tell(|| format!("process {number} answers {} {}", reply.status, reply.text));
        match reply.status {
            200..=299 | 409 | 422 => {
                let client = &mut self.plan.clients[n];
                client.running -= 1;
                self.met.refused += u64::from(reply.status >= 400);
                client.answers.push((reply.status, reply.body));
                client.is_settled = self.nature.is_calm();
            }
            429 | 503 => self.not_told(n),
            status => {
                let Reply { text, .. } = reply;
                self.nature.broken(format!("{:?} was answered {status}: {text}", self.plan.clients[n].ask));
            }
        }
    }

    /// A client does not learn what became of its request.
    fn not_told(&mut self, n: usize) {
        self.met.lost += 1;
        let later = self.nature.now() + self.random.between(0, 20_000);
        let client = &mut self.plan.clients[n];
        client.running -= 1;
        client.lost += 1;
        if client.may_repeat() && client.tries_left > 0 {
            client.tries_left -= 1;
            self.plan.at(later, Due::Try(n));
        }
    }

    /// Runs everything that is under way to its end, in the order that the seed draws.
    fn finish_all(&mut self) {
        while !self.processes.is_empty() {
            self.nature.pass(1);
            self.go_on();
        }
    }

    /// The storm is over. Some of those who still run go on; then everything that waits is done, again and again, until
    /// nothing is left.
    fn heal(&mut self) -> Result<(), String> {
        self.nature.set_calm(true);
        self.met.given_up = QUEUES.iter().map(|queue| self.outside.queues.dead(*queue).len() as u64).sum();
        while self.processes.len() > 2 {
            let place = self.random.place(self.processes.len());
            self.die(place);
        }
        for (_, _, due) in std::mem::take(&mut self.plan.due) {
            if let Due::Message(n) = due {
                self.bring(n);
            }
        }
        for round in 0..400 {
            self.finish_all();
            for n in 0..self.plan.clients.len() {
                if self.plan.clients[n].is_in_doubt() && self.request_of(n).is_some() {
                    self.try_client(n);
                    self.finish_all();
                }
            }
            self.plan.due.clear();
            self.do_what_waits();
            self.unbroken()?;
            let done = self.is_at_rest();
            if done && round > 0 {
                return Ok(());
            }
            self.outside.queues.redrive();
            // Longer than a callback waits for its message; in the end longer than any retry.
            self.nature.pass(if round < 100 { 60_000 } else { 1_200_000 });
        }
        Err(format!("it does not come to rest: {}", self.what_is_left()))
    }

    fn do_what_waits(&mut self) {
        for repairs in [false, self.started.is_multiple_of(3)] {
            self.begin_tick(0, repairs);
            self.finish_all();
        }
        for turn in 0.. {
            let queue = QUEUES.into_iter().find(|queue| self.outside.queues.visible(*queue) > 0);
            let shard = (0..SHARDS).find(|shard| self.outside.store.0.stream.left(*shard) > 0);
            match (queue, shard) {
                _ if turn == TURNS_MAX => return self.nature.broken("what waits does not become less"),
                (Some(queue), _) => self.begin_batch(queue, 10),
                (None, Some(shard)) => self.follow(shard, 10, 0),
                (None, None) => break,
            }
            self.finish_all();
        }
        let failed = self.outside.store.memory().deliveries();
        if failed.iter().any(|delivery| delivery.state == DeliveryState::Failed) {
            let (endpoint, since) = (endpoint_id(), Timestamp::EPOCH);
            let replay = CallbackJob::Replay { organization: organization(), endpoint, since, after: None };
            self.outside.queues.take(QueueName::Callbacks, replay.outgoing(0));
        }
    }

    fn is_at_rest(&self) -> bool {
        self.what_is_left().is_empty()
    }

    /// What must still happen, in words.
    fn what_is_left(&self) -> String {
        let memory = self.outside.store.memory();
        let now = self.nature.now();
        let mut left = Vec::new();
        if !self.outside.queues.is_empty() || !self.outside.store.0.stream.is_read() {
            left.push("messages or records".to_owned());
        }
        for queue in QUEUES {
            left.extend(self.outside.queues.dead(queue).into_iter().map(|letter| format!("dead letter {letter}")));
        }
        for delivery in memory.deliveries() {
            if delivery.state != DeliveryState::Succeeded {
                left.push(format!("delivery {} is {}", delivery.id, delivery.state.as_str()));
            }
        }
        for one in memory.reservations() {
            let ran_out = one.state == ReservationState::Held && one.expires_at.as_millis() < now - 120_000;
            if one.state == ReservationState::Pending || ran_out {
                left.push(format!("reservation {} is {}", one.id, one.state.as_str()));
            }
        }
        for receipt in memory.receipts() {
            if receipt.order().is_none() && receipt.cancelled_at.is_none() {
                left.push(format!("receipt {} is {}", receipt.id, receipt.state().as_str()));
            }
        }
        for client in self.plan.clients.iter().filter(|client| client.is_in_doubt() && client.request.is_some()) {
            left.push(format!("{:?} is in doubt", client.ask));
        }
        left.join(", ")
    }
}

pub(crate) fn endpoint_id() -> EndpointId {
    EndpointId::parse("endpoint").unwrap()
}

/// Registers an endpoint that wants everything, and a store whose orders move stock.
async fn register_all<S>(store: &S, clock: &SkewedClock, id: &StoreId, token: &str)
where
    S: MarketplaceStores + evenstock_app::CallbackStore,
{
    let sealer = MemorySealer::default();
    let sealed: Result<_, SealError> = sealer.seal(&secret_context(&organization(), &endpoint_id()), "whsec_AAAA").await;
    let now = evenstock_app::Clock::now(clock);
    let endpoint = evenstock_domain::Endpoint {
        id: endpoint_id(),
        event: Subscription::All,
        target: "https://example.com/".to_owned(),
        disabled: None,
        schedule: None,
        secrets: Secrets::new(sealed.unwrap().as_str().to_owned(), now),
        created_at: now,
    };
    register_endpoint(store, clock, &organization(), endpoint).await.unwrap();
    let asked = RegisterStore {
        organization: organization(),
        marketplace: Channel::parse("etsy").unwrap(),
        external_id: StoreId::parse("ext").unwrap(),
        name: "Store".to_owned(),
        currency: "USD".to_owned(),
        access_token: SecretText::new("secret token"),
        stock_signal: None,
        default_location: Some(LocationId::parse("main").unwrap()),
        webhook_secret: None,
        base_url: None,
        new_id: id.clone(),
        new_token: SecretText::new(token),
    };
    register_store(store, &sealer, clock, &asked).await.unwrap();
}

/// Runs a future to its end.
pub(crate) fn finish<T>(work: impl Future<Output = T>) -> T {
    run_to_end(Box::pin(work))
}
