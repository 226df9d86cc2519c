//! The hot SKU: many writers, one level. Ours beside the usual read-version-write, on the same table in the same run.

use crate::Failure;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evenstock_app::{Answer, Clock, Commit, StockStore, apply_group, request};
use evenstock_domain::{
    ActorCode, EventBody, EventIdKey, LevelKey, LocationId, Means, OrganizationId, Outcome, Past, Quantity, Sku,
    Source, StockEvent, decide,
};
use evenstock_local::dynamo::LocalDynamo;
use evenstock_local::template::Template;
use evenstock_runtime::SystemClock;
use evenstock_store::{AwsSettings, DynamoStore, dynamodb_client};
use futures::future::try_join_all;

use crate::counted::Counted;

type Store = Counted<DynamoStore>;

/// Tries of read-version-write before a writer gives up.
const ATTEMPTS_MAX: u32 = 10_000;

/// What the writers met.
#[derive(Debug, Default)]
struct Tally {
    applied: AtomicU64,
    conflicts: AtomicU64,
    unavailable: AtomicU64,
}

/// Runs both and writes the table.
pub(crate) async fn contest(writers: u32, requests: u32) -> Result<String, Failure> {
    let template = Template::built_in()?;
    let dynamo = LocalDynamo::start(None, &template.table).await?;
    let client = dynamodb_client(&AwsSettings {
        region: "local".to_owned(),
        endpoint_url: Some(dynamo.endpoint().to_owned()),
        access_key_id: "local".to_owned(),
        secret_access_key: "local".to_owned(),
        session_token: None,
    });
    let store = Arc::new(Counted::new(DynamoStore::new(client, &template.table.name, 400)));
    let total = u64::from(writers) * u64::from(requests);

    let mut table = format!("{writers} writers x {requests} requests on one SKU, stock {total}\n\n");
    writeln!(
        table,
        "{:<20} {:>8} {:>6} {:>6} {:>7} {:>11} {:>10}",
        "", "applied", "409", "503", "stock", "WCU/request", "RCU/request"
    )?;
    for (name, ours) in [("one blind write", true), ("read-version-write", false)] {
        let key = level_key(name)?;
        let stocked = apply_group(&*store, &SystemClock, &key, &[stock(total)?]).await;
        if stocked.outcomes != [Outcome::Applied] {
            return Err("the level could not be stocked".into());
        }
        store.take();
        let tally = Arc::new(Tally::default());
        let tasks = (0..writers).map(|writer| {
            tokio::spawn(write(Arc::clone(&store), key.clone(), Arc::clone(&tally), writer, requests, ours))
        });
        for result in try_join_all(tasks).await? {
            result?;
        }
        let (written, read) = store.take();
        let left = store.load(&key).await?.map(|stored| stored.level.available).unwrap_or_default();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        writeln!(
            table,
            "{name:<20} {:>8} {:>6} {:>6} {left:>7} {:>11} {:>10}",
            count(&tally.applied),
            count(&tally.conflicts),
            count(&tally.unavailable),
            hundredths(written, total),
            hundredths(read, total),
        )?;
    }
    dynamo.stop().await?;
    Ok(table)
}

async fn write(
    store: Arc<Store>,
    key: LevelKey,
    tally: Arc<Tally>,
    writer: u32,
    requests: u32,
    ours: bool,
) -> Result<(), Failure> {
    for n in 0..requests {
        let event = sale(&format!("{writer}/{n}"))?;
        if ours {
            match request(&*store, &SystemClock, &key, &event).await {
                Ok(settled) => match settled.answer {
                    Answer::Applied(_) => tally.applied.fetch_add(1, Ordering::Relaxed),
                    _ => tally.conflicts.fetch_add(1, Ordering::Relaxed),
                },
                Err(_) => tally.unavailable.fetch_add(1, Ordering::Relaxed),
            };
        } else {
            read_version_write(&store, &key, &event, &tally).await?;
        }
    }
    Ok(())
}

/// What most systems do: read, compute, write if the version is still the one read, else answer 409 and let the caller
/// begin again. Spilling is left out in its favour: its journal is cut off.
async fn read_version_write(store: &Store, key: &LevelKey, event: &StockEvent, tally: &Tally) -> Result<(), Failure> {
    for attempt in 1..=ATTEMPTS_MAX {
        let stored = store.load(key).await?.ok_or("the level is gone")?;
        let mut level = stored.level;
        level.recent.clear();
        let decision = decide(&level, std::slice::from_ref(event), &Past::none(), SystemClock.now());
        match store.commit(key, Some(stored.rev), &decision.level).await? {
            Commit::Committed => {
                tally.applied.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            Commit::Conflict(_) => {
                tally.conflicts.fetch_add(1, Ordering::Relaxed);
                SystemClock.back_off(attempt).await;
            }
        }
    }
    tally.unavailable.fetch_add(1, Ordering::Relaxed);
    Ok(())
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

fn stock(units: u64) -> Result<StockEvent, Failure> {
    let quantity = Quantity::new(i64::try_from(units)?)?;
    Ok(event("stock", EventBody::Count { quantity, means: Means::Available, sequence: 0 }))
}

fn sale(name: &str) -> Result<StockEvent, Failure> {
    Ok(event(name, EventBody::Request { available: -1, reserved: 0, expected_version: None }))
}

/// A ratio with two digits, without floating point.
pub(crate) fn hundredths(part: u64, whole: u64) -> String {
    let ratio = part * 100 / whole.max(1);
    format!("{}.{:02}", ratio / 100, ratio % 100)
}
