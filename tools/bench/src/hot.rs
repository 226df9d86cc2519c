//! The hot SKU: many writers, one level. Ours beside what others do, on the same table, through the same meter.

mod rivals;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use evenstock_app::{Answer, Clock, StockStore, apply_group, request};
use evenstock_domain::{
    ActorCode, EventBody, EventIdKey, LevelKey, LocationId, Means, OrganizationId, Outcome, Quantity, Sku, Source,
    StockEvent,
};
use evenstock_local::dynamo::LocalDynamo;
use evenstock_local::template::Template;
use evenstock_runtime::SystemClock;
use evenstock_store::{DynamoStore, dynamodb_client};
use futures::future::try_join_all;

use crate::Failure;
use crate::cost::{decimal, markdown};
use crate::meter::Meter;
use crate::product::aws;
use rivals::{ReadVersionWrite, ThreeItems};

/// How long a call takes at least: about what DynamoDB needs, so that writers meet as they would there.
const CALL: Duration = Duration::from_millis(5);

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Messages of one batch, where requests come through the queue.
const BATCH: usize = 10;

/// Batches that are worked on at once.
const WORKERS: usize = 2;

/// How many write, how often, and when those give up who must begin again themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contest {
    pub(crate) writers: u32,
    pub(crate) requests: u32,
    pub(crate) tries: u32,
}

/// What the writers met.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Requests that took a unit.
    applied: AtomicU64,
    /// Requests that were given up.
    given_up: AtomicU64,
}

impl Tally {
    pub(crate) fn note(&self, applied: bool) {
        let counter = if applied { &self.applied } else { &self.given_up };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A way to take one unit from a hot level.
pub(crate) trait Contestant: Send + Sync + 'static {
    /// Puts the units there.
    fn stock(&self, units: u64) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Takes one, as the writer's `n`-th request: whether it was done.
    fn take(&self, writer: u32, n: u32) -> impl Future<Output = Result<bool, Failure>> + Send;

    /// The units that are left.
    fn left(&self) -> impl Future<Output = Result<u64, Failure>> + Send;
}

/// Ours: one conditional write without a read.
struct Blind {
    store: DynamoStore,
    key: LevelKey,
}

impl Contestant for Blind {
    async fn stock(&self, units: u64) -> Result<(), Failure> {
        put_units(&self.store, &self.key, units).await
    }

    async fn take(&self, writer: u32, n: u32) -> Result<bool, Failure> {
        let event = sale(&format!("{writer}/{n}"));
        match request(&self.store, &SystemClock, &self.key, &event).await {
            Ok(settled) => Ok(matches!(settled.answer, Answer::Applied(_))),
            Err(error) if error.is_passing() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn left(&self) -> Result<u64, Failure> {
        units_of(&self.store, &self.key).await
    }
}

/// Runs all and writes the table.
pub(crate) async fn contest(contest: Contest) -> Result<String, Failure> {
    let template = Template::built_in()?;
    let dynamo = LocalDynamo::start(None, &template.table).await?;
    let meter = Meter::start(&dynamo, &template.table, CALL).await?;
    let client = patient(&dynamodb_client(&aws(&meter)));
    let store = DynamoStore::new(client.clone(), &template.table.name, 400);
    let table = template.table.name.clone();
    let Contest { writers, requests, tries } = contest;
    let mut cells = vec![
        ["", "applied", "of all", "refused writes", "WCU/applied", "RCU/applied", "calls/applied"].map(str::to_owned),
    ];
    let blind = Blind { store: store.clone(), key: level_key("blind")? };
    cells.push(run("one blind write (ours, over HTTP)", blind, &meter, contest).await?);
    cells.push(grouped(&store, &meter, contest).await?);
    let rival = ReadVersionWrite { client: client.clone(), table: table.clone(), tries };
    cells.push(run("read, then write if the version stands", rival, &meter, contest).await?);
    cells.push(run("transaction of three items", ThreeItems { client, table, tries }, &meter, contest).await?);
    dynamo.stop().await?;
    Ok(format!(
        "{writers} writers x {requests} requests for one unit of one SKU, stock for all of them; \
         the last two give up after {tries} tries\n\n{}",
        markdown(&cells)
    ))
}

/// A client that waits as long as it takes: what a busy machine delays is nobody's conflict.
fn patient(client: &Client) -> Client {
    let timeouts = TimeoutConfig::builder().operation_timeout(PATIENCE).operation_attempt_timeout(PATIENCE).build();
    Client::from_conf(client.config().to_builder().timeout_config(timeouts).build())
}

async fn run<C: Contestant>(name: &str, way: C, meter: &Meter, contest: Contest) -> Result<[String; 7], Failure> {
    let Contest { writers, requests, .. } = contest;
    let total = u64::from(writers) * u64::from(requests);
    let (way, tally) = (Arc::new(way), Arc::new(Tally::default()));
    way.stock(total).await?;
    meter.take();
    let tasks = (0..writers).map(|writer| {
        let (way, tally) = (Arc::clone(&way), Arc::clone(&tally));
        tokio::spawn(async move {
            for n in 0..requests {
                tally.note(way.take(writer, n).await?);
            }
            Ok::<_, Failure>(())
        })
    });
    for ended in try_join_all(tasks).await? {
        ended?;
    }
    let cells = line(name, &tally, meter, total);
    proven(name, &tally, total, way.left().await?)?;
    Ok(cells)
}

/// Ours through the queue: a batch's requests of one level are decided one by one and written together.
async fn grouped(store: &DynamoStore, meter: &Meter, contest: Contest) -> Result<[String; 7], Failure> {
    let name = "one write for a batch of 10 (ours, through the queue)";
    let key = level_key("grouped")?;
    let total = u64::from(contest.writers) * u64::from(contest.requests);
    put_units(store, &key, total).await?;
    meter.take();
    let sales: Vec<_> = (0..total).map(|n| sale(&n.to_string())).collect();
    let tally = Arc::new(Tally::default());
    let share = sales.len().div_ceil(WORKERS).max(1);
    let workers = sales.chunks(share).map(|share| {
        let (store, key, tally, share) = (store.clone(), key.clone(), Arc::clone(&tally), share.to_vec());
        tokio::spawn(async move {
            for batch in share.chunks(BATCH) {
                let result = apply_group(&store, &SystemClock, &key, batch).await;
                for place in 0..batch.len() {
                    tally.note(result.outcomes.get(place) == Some(&Outcome::Applied));
                }
            }
        })
    });
    try_join_all(workers).await?;
    let cells = line(name, &tally, meter, total);
    proven(name, &tally, total, units_of(store, &key).await?)?;
    Ok(cells)
}

fn line(name: &str, tally: &Tally, meter: &Meter, total: u64) -> [String; 7] {
    let bill = meter.take();
    let applied = tally.applied.load(Ordering::Relaxed);
    let each = |sum: u64| decimal(sum.div_ceil(applied.max(1)), 2);
    [
        name.to_owned(),
        applied.to_string(),
        format!("{} %", decimal(applied * 1000 / total.max(1), 1)),
        bill.refused.to_string(),
        each(bill.units.writes * 100),
        each(bill.units.read_halves * 50),
        each(bill.calls() * 100),
    ]
}

/// A figure counts only if no unit was sold twice and none is lost. A request that was given up may have been done: its
/// last answer may have come too late.
fn proven(name: &str, tally: &Tally, total: u64, left: u64) -> Result<(), Failure> {
    let (applied, given_up) = (tally.applied.load(Ordering::Relaxed), tally.given_up.load(Ordering::Relaxed));
    let gone = total.saturating_sub(left);
    if (applied..=applied + given_up).contains(&gone) {
        return Ok(());
    }
    Err(format!("{name}: {applied} of {total} were applied, and {left} are left").into())
}

async fn put_units(store: &DynamoStore, key: &LevelKey, units: u64) -> Result<(), Failure> {
    let quantity = Quantity::new(i64::try_from(units)?)?;
    let count = event("stock", EventBody::Count { quantity, means: Means::Available, sequence: 0 });
    let stocked = apply_group(store, &SystemClock, key, &[count]).await;
    // A write whose answer came too late is found done.
    match stocked.outcomes.as_slice() {
        [Outcome::Applied | Outcome::Duplicate] => Ok(()),
        _ => Err(format!("the level could not be stocked: {stocked:?}").into()),
    }
}

async fn units_of(store: &DynamoStore, key: &LevelKey) -> Result<u64, Failure> {
    let stored = store.load(key).await?.ok_or("the level is gone")?;
    Ok(u64::try_from(stored.level.available)?)
}

fn level_key(sku: &str) -> Result<LevelKey, Failure> {
    Ok(LevelKey {
        organization: OrganizationId::parse("bench")?,
        sku: Sku::parse(sku)?,
        location: LocationId::parse("main")?,
    })
}

fn event(name: &str, body: EventBody) -> StockEvent {
    let id = EventIdKey::new(*b"benchbenchbench!").event_id(name);
    StockEvent { id, time: SystemClock.now(), source: Source::api(), actor: ActorCode(1), body }
}

fn sale(name: &str) -> StockEvent {
    event(name, EventBody::Request { available: -1, reserved: 0, expected_version: None })
}
