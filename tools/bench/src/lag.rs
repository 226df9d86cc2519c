//! How long a change takes: from the answer to a write at the centre until a store node shows it, and until somebody who
//! follows the feed by long poll has it.
//!
//! The counts hold on every machine; the milliseconds are this machine's, with everything on it at the moment.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::Failure;
use crate::cost::decimal;
use crate::parts::Running;

const STORE: &str = "store-7";

const PRODUCT: &str = "SHIRT";

/// Between two looks at the node, which also bounds how exact its times are.
const LOOK: Duration = Duration::from_millis(5);

/// After which a change counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// When each version was first seen, and how often was asked for it.
#[derive(Debug, Default)]
struct Sight {
    at: BTreeMap<u64, Instant>,
    asked: u64,
}

type Seen = Arc<Mutex<Sight>>;

/// Asks a server as the demo organization.
async fn ask(client: &Client, method: Method, url: String, body: Option<Value>) -> Result<Value, Failure> {
    let request = client.request(method, url).header("x-api-key", "demo");
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    Ok(request.send().await?.error_for_status()?.json().await?)
}

fn number(body: &Value, name: &str) -> Result<u64, Failure> {
    body.get(name).and_then(Value::as_u64).ok_or_else(|| format!("{name} is missing in {body}").into())
}

/// Writes, follows, and writes the table.
pub(crate) async fn race(writes: u32) -> Result<String, Failure> {
    let data = tempfile::tempdir()?;
    let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let centre = Running::centre().await?;
    let node = Running::node(&centre, STORE, data.path()).await?;
    await_health(&client, &node).await?;

    let (latest, mut heard) = watch::channel(0);
    let (feed, shown) = (Seen::default(), Seen::default());
    let followers = [
        tokio::spawn(follow_feed(client.clone(), centre.base.clone(), Arc::clone(&feed))),
        tokio::spawn(look_at_node(client.clone(), node.base.clone(), Arc::clone(&shown), latest)),
    ];
    let mut answered = BTreeMap::new();
    for n in 0..writes {
        // Not in step with anything that ticks.
        sleep(Duration::from_millis(u64::from(n) * 137 % 500)).await;
        let body = json!({
            "storeId": STORE, "productId": PRODUCT, "delta": 1, "version": null, "idempotencyKey": format!("lag/{n}"),
        });
        let answer = ask(&client, Method::POST, format!("{}/inventory/updates", centre.base), Some(body)).await?;
        let version = number(&answer, "newVersion")?;
        answered.insert(version, Instant::now());
        let here = timeout(PATIENCE, heard.wait_for(|latest| *latest >= version)).await;
        here.map_err(|_| format!("version {version} is not at the node after {PATIENCE:?}"))??;
    }
    sleep(Duration::from_secs(1)).await;
    followers.iter().for_each(tokio::task::JoinHandle::abort);

    let mut table = format!("{writes} writes at the centre, one after the other; a store node and a reader follow\n\n");
    writeln!(table, "{:<24} {:>6} {:>12} {:>8} {:>8} {:>8}", "", "seen", "polls/change", "p50 ms", "p95 ms", "max ms")?;
    row(&mut table, "feed, by long poll", &answered, &feed, true)?;
    row(&mut table, "store node", &answered, &shown, false)?;
    table.push_str("\nMilliseconds from the write's answer until it was seen, as of this machine at this moment.");
    Ok(table)
}

/// Waits until the node has its first copy.
async fn await_health(client: &Client, node: &Running) -> Result<(), Failure> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let health = ask(client, Method::GET, format!("{}/health", node.base), None).await?;
        if health.get("status").is_some_and(|status| status == "ok") {
            return Ok(());
        }
        sleep(LOOK).await;
    }
    Err("the node does not come up".into())
}

fn see(seen: &Seen, versions: impl Iterator<Item = u64>) {
    let mut sight = seen.lock().unwrap_or_else(PoisonError::into_inner);
    sight.asked += 1;
    for version in versions {
        sight.at.entry(version).or_insert_with(Instant::now);
    }
}

/// Follows the feed from its beginning.
async fn follow_feed(client: Client, base: String, seen: Seen) -> Result<(), Failure> {
    let mut offset = 0;
    loop {
        let url = format!("{base}/replication/changes?fromOffset={offset}&longPollSeconds=20");
        let body = ask(&client, Method::GET, url, None).await?;
        offset = number(&body, "nextOffset")?;
        let events = body.get("events").and_then(Value::as_array).cloned().unwrap_or_default();
        see(&seen, events.iter().filter_map(|event| number(event, "newVersion").ok()));
    }
}

/// Looks at the node again and again, as a till would.
async fn look_at_node(client: Client, base: String, seen: Seen, latest: watch::Sender<u64>) -> Result<(), Failure> {
    loop {
        let answer = client.get(format!("{base}/store/inventory/{PRODUCT}")).send().await?;
        if answer.status().is_success() {
            let version = number(&answer.json().await?, "version")?;
            see(&seen, latest.borrow().saturating_add(1)..=version);
            latest.send_replace(version);
        }
        sleep(LOOK).await;
    }
}

fn row(
    table: &mut String,
    name: &str,
    answered: &BTreeMap<u64, Instant>,
    seen: &Seen,
    polls: bool,
) -> Result<(), Failure> {
    let sight = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let lag = |(version, at): (&u64, &Instant)| Some(sight.at.get(version)?.saturating_duration_since(*at).as_millis());
    let mut lags: Vec<_> = answered.iter().filter_map(lag).collect();
    lags.sort_unstable();
    let percentile = |percent: usize| {
        let place = (lags.len() * percent).div_ceil(100).saturating_sub(1);
        lags.get(place).map_or_else(|| "-".to_owned(), u128::to_string)
    };
    let asked = if polls { decimal(sight.asked * 100 / (answered.len() as u64).max(1), 2) } else { "-".to_owned() };
    let (p50, p95, most) = (percentile(50), percentile(95), percentile(100));
    writeln!(table, "{name:<24} {:>6} {asked:>12} {p50:>8} {p95:>8} {most:>8}", lags.len())?;
    Ok(())
}
