//! Webhooks as fast as the runner takes them, and then the audit: each one that it acknowledged is in the journal of its
//! product once, or was outdated by a newer one that is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenstock_app::Clock;
use evenstock_domain::Timestamp;
use evenstock_runtime::SystemClock;
use futures::future::try_join_all;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::Rate;
use crate::Failure;
use crate::runner::Program;
use crate::wire::{Wire, sign};

/// How long what was acknowledged may take to be applied.
const PATIENCE: Duration = Duration::from_secs(300);

const LOOK: Duration = Duration::from_millis(20);

/// What became of a load.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) acknowledged: Rate,
    pub(super) applied: Rate,
    /// Webhooks that changed a level.
    pub(super) changes: u64,
    /// Those that a newer one had overtaken.
    pub(super) outdated: u64,
}

/// What each connection needs to know of the whole.
#[derive(Debug)]
struct Load {
    base: String,
    products: u64,
    /// The time that the first count states; each one is a millisecond later.
    first: Timestamp,
    next: AtomicU64,
    ends: Instant,
}

/// Sends for so many seconds, waits, and audits.
pub(super) async fn load(program: &Program, products: u64, connections: u64, seconds: u64) -> Result<Taken, Failure> {
    let data = tempfile::tempdir()?;
    let runner = program.start(data.path(), &[]).await?;
    let begun = Instant::now();
    let first = SystemClock.now().plus_millis(-3_600_000);
    let ends = begun + Duration::from_secs(seconds);
    let load = Load { base: runner.base.clone(), products, first, next: AtomicU64::new(1), ends };
    let load = Arc::new(load);
    let senders = (0..connections).map(|_| tokio::spawn(send(Arc::clone(&load))));
    let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
    let mut done = 0;
    for ended in try_join_all(senders).await? {
        for n in ended? {
            done += 1;
            let newest = newest.entry(n % products).or_default();
            *newest = n.max(*newest);
        }
    }
    let acknowledged = Rate { done, took: begun.elapsed() };
    let mut wire = Wire::connect(&runner.base).await?;
    rest(&mut wire).await?;
    let applied = Rate { done, took: begun.elapsed() };
    let mut changes = 0;
    for (product, newest) in &newest {
        changes += audit(&mut wire, *product, *newest).await?;
    }
    runner.kill().await?;
    let outdated = done.checked_sub(changes).ok_or("more was applied than was sent")?;
    Ok(Taken { acknowledged, applied, changes, outdated })
}

/// Sends one after the other; the numbers of those that were acknowledged. Anything but an acknowledgement fails the run.
async fn send(load: Arc<Load>) -> Result<Vec<u64>, Failure> {
    let mut wire = Wire::connect(&load.base).await?;
    let mut acknowledged = Vec::new();
    while Instant::now() < load.ends {
        let n = load.next.fetch_add(1, Ordering::Relaxed);
        let time = load.first.plus_millis(i64::try_from(n)?);
        let product = n % load.products;
        let body = format!(
            r#"{{"product_code":"SKU-{product}","available_stock":{n},"timestamp":"{time}","warehouse":"main"}}"#
        );
        let signature = sign(&body)?;
        let header = Some(("x-marketplace-signature", signature.as_str()));
        let status = wire.ask("POST", "/webhooks/marketplace-a", header, &body).await?;
        if status != 202 {
            return Err(format!("webhook {n}: {status} {}", String::from_utf8_lossy(wire.body())).into());
        }
        acknowledged.push(n);
    }
    Ok(acknowledged)
}

async fn read(wire: &mut Wire, path: &str) -> Result<Value, Failure> {
    match wire.ask("GET", path, None, "").await? {
        200 => Ok(serde_json::from_slice(wire.body())?),
        status => Err(format!("{path}: {status} {}", String::from_utf8_lossy(wire.body())).into()),
    }
}

/// Waits until the queue is empty; dead letters are a failure.
async fn rest(wire: &mut Wire) -> Result<(), Failure> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let health = read(wire, "/health").await?;
        let queue = health.pointer("/data/queue").ok_or("health does not tell of the queue")?;
        let count = |name: &str| queue.get(name).and_then(Value::as_u64);
        if count("dead") != Some(0) {
            return Err(format!("dead letters: {queue}").into());
        }
        if (count("waiting"), count("inFlight")) == (Some(0), Some(0)) {
            return Ok(());
        }
        sleep(LOOK).await;
    }
    Err("the queue does not empty".into())
}

/// How many counts changed a product's level. Each count states its own number, so its journal tells which they were.
async fn audit(wire: &mut Wire, product: u64, newest: u64) -> Result<u64, Failure> {
    let mut after = u64::MAX;
    let mut changes: u64 = 0;
    let mut cursor = String::new();
    loop {
        let path = format!("/inventory/SKU-{product}/history?storeId=main&limit=500&cursor={cursor}");
        let page = read(wire, &path).await?;
        for item in page.get("items").and_then(Value::as_array).ok_or("a history has no items")? {
            let units = item.get("newQuantity").and_then(Value::as_u64).ok_or("an entry has no quantity")?;
            // From the newest back: each one was newer than the one before it, and so none is there twice.
            if units >= after || (changes == 0 && units != newest) {
                return Err(format!("SKU-{product}: {units} stands after {after}, {newest} was the newest").into());
            }
            after = units;
            changes += 1;
        }
        match page.get("nextCursor").and_then(Value::as_str) {
            Some(next) if !next.is_empty() => next.clone_into(&mut cursor),
            _ => return Ok(changes),
        }
    }
}
