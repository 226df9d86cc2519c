//! A world in which time is what the test says it is.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::ops::Range;
use std::sync::Mutex;
use std::task::Poll;

use aws_lambda_events::event::sqs::SqsEvent;
use evenstock_app::testing::{FaultyStore, FixedClock, MemorySealer, MemoryStore};
use evenstock_app::{
    Announcement, Call, CallbackJob, CallbackSender, CallbackStore, Clock, EventType, FrozenEvent, InvalidTarget,
    Outgoing, Queue, QueueDepth, QueueError, QueueName, Sealer, Subscriptions, fan_out, register_endpoint, requeue,
    secret_context,
};
use evenstock_callback_worker::{Callbacks, handle};
use evenstock_domain::{
    Attempt, Endpoint, EndpointId, OrganizationId, RetrySchedule, Secrets, StoreId, Subscription, Timestamp, Tried,
};
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A queue that keeps what was sent until it is taken, or is down.
#[derive(Debug, Default)]
pub(crate) struct Sent(Mutex<(bool, Vec<Outgoing>)>);

impl Sent {
    pub(crate) fn take(&self) -> Vec<Outgoing> {
        std::mem::take(&mut self.0.lock().unwrap().1)
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.0.lock().unwrap().0 = down;
    }
}

impl Queue for Sent {
    async fn send(&self, queue: QueueName, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        assert_eq!(queue, QueueName::Callbacks);
        let mut sent = self.0.lock().unwrap();
        if sent.0 {
            return Err(QueueError("the queue is down".into()));
        }
        sent.1.extend(messages);
        Ok(())
    }

    async fn depth(&self, _queue: QueueName) -> Result<QueueDepth, QueueError> {
        Ok(QueueDepth::default())
    }
}

/// Gives others a turn, under any executor.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A receiver that answers what it was told, by target; 200 when it was told nothing. Remembers every call.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    answers: Mutex<BTreeMap<String, VecDeque<Tried>>>,
    calls: Mutex<Vec<(String, String, String)>>,
}

impl Scripted {
    pub(crate) fn will_answer(&self, target: &str, status: u16, retry_after_seconds: Option<u32>, times: usize) {
        let attempt =
            Attempt { at: Timestamp::EPOCH, status_code: Some(status), duration_ms: 5, error: None, response: None };
        let tried = Tried { attempt, retry_after_seconds };
        self.answers.lock().unwrap().entry(target.to_owned()).or_default().extend(vec![tried; times]);
    }

    /// Target, event id and body of each call so far.
    pub(crate) fn calls(&self) -> Vec<(String, String, String)> {
        self.calls.lock().unwrap().clone()
    }
}

impl CallbackSender for Scripted {
    async fn check(&self, _target: &str) -> Result<(), InvalidTarget> {
        Ok(())
    }

    async fn send(&self, call: Call<'_>) -> Tried {
        assert!(!call.secrets.is_empty());
        let (target, id) = (call.target.to_owned(), call.event_id.to_owned());
        self.calls.lock().unwrap().push((target, id, call.body.to_owned()));
        yield_now().await;
        if call.target.contains("hangs") {
            std::future::pending::<()>().await;
        }
        let answer = self.answers.lock().unwrap().get_mut(call.target).and_then(VecDeque::pop_front);
        let attempt = Attempt {
            at: call.sent_at,
            status_code: Some(200),
            duration_ms: 5,
            error: None,
            response: Some("ok".to_owned()),
        };
        let mut tried = answer.unwrap_or(Tried { attempt, retry_after_seconds: None });
        tried.attempt.at = call.sent_at;
        tried
    }
}

/// A worker on a store that fails on purpose.
pub(crate) type Failing<C> = Callbacks<FaultyStore<MemoryStore>, Sent, Scripted, MemorySealer, C>;

/// Such a worker, with an endpoint that wants everything and is tried once more after five seconds.
pub(crate) async fn receiver_of_all<C: Clock>(store: FaultyStore<MemoryStore>, clock: C, target: &str) -> Failing<C> {
    let (sealer, id, now) = (MemorySealer::default(), endpoint_id("receiver"), start());
    let sealed = sealer.seal(&secret_context(&organization(), &id), SECRET).await.unwrap();
    let secrets = Secrets::new(sealed.as_str().to_owned(), now);
    let (event, target) = (Subscription::All, target.to_owned());
    let endpoint = Endpoint { id, event, target, disabled: None, schedule: None, secrets, created_at: now };
    register_endpoint(store.inner(), &clock, &organization(), endpoint).await.unwrap();
    let schedule = RetrySchedule::parse("5s").unwrap();
    Callbacks { store, queue: Sent::default(), sender: Scripted::default(), sealer, clock, schedule }
}

/// Messages of so many events for that endpoint.
pub(crate) fn firsts(numbers: Range<i64>) -> Vec<String> {
    let job = |n: i64| {
        let (time, body) = (start().plus_millis(-n), "{}".to_owned());
        let event = FrozenEvent { event_id: n.to_string(), event: EventType::StockLow, time, store: None, body };
        CallbackJob::First { organization: organization(), endpoint: endpoint_id("receiver"), event }.to_json()
    };
    numbers.map(job).collect()
}

pub(crate) struct World<P> {
    pub(crate) callbacks: Callbacks<MemoryStore, Sent, P, MemorySealer, FixedClock>,
    pub(crate) subscriptions: Subscriptions,
    /// Messages with the time from which on they can be received.
    waiting: Vec<(Timestamp, String)>,
    batches: usize,
}

pub(crate) const fn start() -> Timestamp {
    Timestamp::EPOCH.plus_millis(1_700_000_000_000)
}

pub(crate) fn organization() -> OrganizationId {
    OrganizationId::parse("us").unwrap()
}

pub(crate) fn endpoint_id(name: &str) -> EndpointId {
    EndpointId::parse(name).unwrap()
}

pub(crate) fn world<P: CallbackSender>(sender: P, schedule: &str) -> World<P> {
    let callbacks = Callbacks {
        store: MemoryStore::default(),
        queue: Sent::default(),
        sender,
        sealer: MemorySealer::default(),
        clock: FixedClock::at(start()),
        schedule: RetrySchedule::parse(schedule).unwrap(),
    };
    World { callbacks, subscriptions: Subscriptions::default(), waiting: Vec::new(), batches: 0 }
}

pub(crate) fn sqs(bodies: &[String]) -> SqsEvent {
    let record = |(n, body): (usize, &String)| json!({ "messageId": n.to_string(), "body": body });
    let records: Vec<_> = bodies.iter().enumerate().map(record).collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

impl<P: CallbackSender> World<P> {
    pub(crate) fn now(&self) -> Timestamp {
        self.callbacks.clock.now()
    }

    /// Registers an endpoint that wants low stock.
    pub(crate) async fn register(&self, name: &str, target: &str) -> Endpoint {
        let id = endpoint_id(name);
        let context = secret_context(&organization(), &id);
        let sealed = self.callbacks.sealer.seal(&context, SECRET).await.unwrap();
        let endpoint = Endpoint {
            id,
            event: Subscription::Only(EventType::StockLow),
            target: target.to_owned(),
            disabled: None,
            schedule: None,
            secrets: Secrets::new(sealed.as_str().to_owned(), self.now()),
            created_at: self.now(),
        };
        let (store, clock) = (&self.callbacks.store, &self.callbacks.clock);
        register_endpoint(store, clock, &organization(), endpoint.clone()).await.unwrap();
        endpoint
    }

    pub(crate) fn announcement(&self, name: &str) -> Announcement {
        Announcement {
            event_id: name.to_owned(),
            event: EventType::StockLow,
            time: self.now(),
            organization: organization(),
            store: StoreId::parse("store-1").ok(),
            data: json!({ "name": name }),
        }
    }

    pub(crate) async fn announce(&mut self, names: &[String]) {
        let announcements: Vec<_> = names.iter().map(|name| self.announcement(name)).collect();
        let Callbacks { store, queue, .. } = &self.callbacks;
        fan_out(store, queue, &self.subscriptions, self.now(), &announcements, &[]).await.unwrap();
        self.collect();
    }

    /// Takes what was sent into the messages that wait.
    pub(crate) fn collect(&mut self) {
        for message in self.callbacks.queue.take() {
            assert!(message.delay_seconds <= Outgoing::DELAY_SECONDS_MAX);
            let at = self.now().plus_millis(i64::from(message.delay_seconds) * 1000);
            self.waiting.push((at, message.body));
        }
    }

    /// The bodies that can be received now, at most ten.
    pub(crate) fn receive(&mut self) -> Vec<String> {
        let now = self.now();
        let (mut ready, later): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|(at, _)| *at <= now);
        self.waiting = later;
        let rest = ready.split_off(ready.len().min(10));
        self.waiting.extend(rest);
        ready.into_iter().map(|(_, body)| body).collect()
    }

    /// One call of the worker with these messages; how many of them come back.
    pub(crate) async fn call(&mut self, bodies: &[String]) -> usize {
        self.batches += 1;
        let name = format!("batch-{}", self.batches);
        let response = handle(&self.callbacks, sqs(bodies), &name).await.unwrap();
        let back = response.batch_item_failures;
        for failure in &back {
            let place: usize = failure.item_identifier.parse().unwrap();
            self.waiting.push((self.now().plus_millis(30_000), bodies[place].clone()));
        }
        self.collect();
        back.len()
    }

    /// Lets time pass until nothing is left to do, or for `most_ms`. The scheduler comes every minute.
    pub(crate) async fn run(&mut self, most_ms: i64) {
        let end = self.now().plus_millis(most_ms);
        let mut next_tick = self.now();
        while self.now() <= end {
            let bodies = self.receive();
            if !bodies.is_empty() {
                self.call(&bodies).await;
                continue;
            }
            if self.now() >= next_tick {
                let Callbacks { store, queue, clock, .. } = &self.callbacks;
                requeue(store, queue, clock, clock.now().plus_millis(1)).await.unwrap();
                self.collect();
                next_tick = self.now().plus_millis(60_000);
                continue;
            }
            let pending = || self.callbacks.store.deliveries().iter().any(|delivery| delivery.due_at.is_some());
            if self.waiting.is_empty() && !pending() {
                return;
            }
            let soonest = self.waiting.iter().map(|(at, _)| *at).min().unwrap_or(next_tick).min(next_tick);
            self.callbacks.clock.advance_ms(soonest.millis_since(self.now()).max(1));
        }
    }

    pub(crate) async fn endpoint(&self, name: &str) -> Endpoint {
        let registry = self.callbacks.store.load_registry(&organization()).await.unwrap().1;
        registry.find(&endpoint_id(name)).unwrap().clone()
    }

    /// The event ids of everything that arrived at once.
    pub(crate) fn arrived_at_once(&self) -> Vec<String> {
        let log = self.callbacks.store.arrivals();
        log.into_iter().flat_map(|arrivals| arrivals.arrived).map(|arrival| arrival.event_id).collect()
    }
}

pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("event-{n}")).collect()
}

pub(crate) fn parsed(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}
