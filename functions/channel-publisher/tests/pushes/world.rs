//! Our side: a store and a queue in memory, and the function over them.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryQueue, MemoryStore};
use evenstock_app::{
    ApiKey, Conflict, ConflictChoice, ConflictStore, CountDeps, PushJob, QueueName, Resolve, ResolveResult, StockStore,
    apply_group, push_jobs, resolve_conflict,
};
use evenstock_channel_publisher::{Pushes, Settings, handle};
use evenstock_channels::{HttpCentral, SystemLookup};
use evenstock_domain::{
    ActorCode, BreakerConfig, EventBody, EventIdKey, Guard, LevelKey, LocationId, OrganizationId, Outcome, Sku, Source,
    StockEvent, Timestamp,
};
use serde_json::json;

use crate::central::Central;

/// The id of the key under which the central system writes to us.
const THEIR_KEY: &str = "central-key-id";

pub(crate) struct World {
    pub(crate) central: Central,
    pub(crate) pushes: Pushes<FaultyStore<MemoryStore>, MemoryQueue, HttpCentral, FixedClock>,
    events: u32,
    batches: u32,
}

pub(crate) fn key(sku: &str) -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("demo").unwrap(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse("main").unwrap(),
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| Fault::None).await
    }

    pub(crate) async fn with(plan: impl FnMut(&'static str) -> Fault + Send + 'static) -> Self {
        let central = Central::start().await;
        let near = Guard { allow_private: true };
        let client = HttpCentral::new(&central.url, "central-key", near, SystemLookup, Duration::from_secs(5)).unwrap();
        let pushes = Pushes {
            store: FaultyStore::new(MemoryStore::default(), plan),
            queue: MemoryQueue::default(),
            central: Some(client),
            clock: FixedClock::at(Timestamp::from_millis(1_700_000_000_000).unwrap()),
            ids: EventIdKey::new(*b"0123456789abcdef"),
            organization: OrganizationId::parse("demo").unwrap(),
            settings: Settings {
                theirs: Some(THEIR_KEY.to_owned()),
                grace_seconds: 30,
                breaker: BreakerConfig { threshold: 3, cooldown_ms: 900_000, probe_ms: 120_000 },
            },
        };
        Self { central, pushes, events: 0, batches: 0 }
    }

    async fn apply(&mut self, sku: &str, delta: i64, actor: ActorCode) {
        self.events += 1;
        self.pushes.clock.advance_ms(10);
        let event = StockEvent {
            id: self.pushes.ids.event_id(&format!("event {}", self.events)),
            time: evenstock_app::Clock::now(&self.pushes.clock),
            source: Source::api(),
            actor,
            body: EventBody::Request { available: delta, reserved: 0, expected_version: None },
        };
        let applied = apply_group(self.pushes.store.inner(), &self.pushes.clock, &key(sku), &[event]).await;
        assert_eq!(applied.outcomes, [Outcome::Applied]);
    }

    /// Somebody here changes stock.
    pub(crate) async fn change(&mut self, sku: &str, delta: i64) {
        self.apply(sku, delta, ActorCode(7)).await;
    }

    /// The central system changes stock, and tells us.
    pub(crate) async fn told(&mut self, sku: &str, delta: i64) {
        self.central.changes(sku, delta);
        let theirs = ApiKey {
            id: THEIR_KEY.to_owned(),
            organization: OrganizationId::parse("demo").unwrap(),
            scopes: Vec::new(),
            operator: false,
            expires_at: None,
        };
        self.apply(sku, delta, theirs.actor()).await;
    }

    /// Works on messages; how many came back.
    pub(crate) async fn work(&mut self, bodies: &[String]) -> usize {
        self.batches += 1;
        let record = |(n, body): (usize, &String)| json!({ "messageId": n.to_string(), "body": body });
        let records: Vec<_> = bodies.iter().enumerate().map(record).collect();
        let event: SqsEvent = serde_json::from_value(json!({ "Records": records })).unwrap();
        let answer = handle(&self.pushes, event, &format!("batch-{}", self.batches)).await.unwrap();
        answer.batch_item_failures.len()
    }

    /// Works on one message that names these; whether it is done.
    pub(crate) async fn push(&mut self, skus: &[&str]) -> bool {
        let body = message(skus, false);
        self.work(&[body]).await == 0
    }

    /// The same, with differences counting.
    pub(crate) async fn push_again(&mut self, skus: &[&str]) -> bool {
        let body = message(skus, true);
        self.work(&[body]).await == 0
    }

    /// Messages that were sent on so far.
    pub(crate) fn waiting(&self) -> Vec<String> {
        self.pushes.queue.bodies(QueueName::StockPushes)
    }

    pub(crate) fn letters(&self) -> Vec<String> {
        self.pushes.queue.bodies(QueueName::StockPushesDlq)
    }

    /// Our available units.
    pub(crate) async fn ours(&self, sku: &str) -> i64 {
        self.pushes.store.inner().load(&key(sku)).await.unwrap().unwrap().level.available
    }

    pub(crate) async fn conflicts(&self) -> Vec<Conflict> {
        let organization = OrganizationId::parse("demo").unwrap();
        self.pushes.store.inner().conflicts(&organization, Some(true), None, 50).await.unwrap().conflicts
    }

    pub(crate) async fn resolve(&mut self, id: &str, choice: ConflictChoice) -> ResolveResult {
        self.pushes.clock.advance_ms(1000);
        let (store, clock, ids) = (self.pushes.store.inner(), &self.pushes.clock, &self.pushes.ids);
        let organization = OrganizationId::parse("demo").unwrap();
        let asked = Resolve { organization, id: id.to_owned(), choice, by: "key".to_owned(), actor: ActorCode(7) };
        resolve_conflict(CountDeps { store, clock, ids }, &asked).await.unwrap()
    }
}

pub(crate) fn message(skus: &[&str], again: bool) -> String {
    let jobs = push_jobs(&skus.iter().map(|sku| key(sku)).collect());
    assert_eq!(jobs.len(), 1);
    PushJob { again, ..jobs[0].clone() }.outgoing(0).unwrap().body
}
