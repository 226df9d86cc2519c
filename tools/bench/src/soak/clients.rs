//! The load: each client does one thing after the other, at random, until it is told to stop.
//!
//! A request with a key, a delivery and a read are repeated until they are answered. A request without a key is sent once:
//! when it is not answered, both outcomes are right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenstock_app::Clock;
use evenstock_runtime::SystemClock;
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::reservations;
use super::site::Site;
use super::world::{COUNTED, KEYED, KEYLESS, PLACE, World, products};
use crate::Failure;
use crate::wire::sign;

/// How a client thinks between two requests.
const THINK_MS: std::ops::Range<u64> = 5..60;

/// One client's things.
pub(super) struct Client {
    pub(super) name: u64,
    pub(super) site: Site,
    pub(super) world: Arc<World>,
    pub(super) random: Rng,
}

impl Client {
    pub(super) async fn think(&mut self) {
        sleep(Duration::from_millis(self.random.u64(THINK_MS))).await;
    }

    pub(super) fn one_of(&mut self, products: &[&'static str]) -> &'static str {
        self.random.choice(products.iter().copied()).unwrap_or("none")
    }
}

/// Starts them all.
pub(super) fn start(load: &mut JoinSet<Result<(), Failure>>, site: &Site, world: &Arc<World>, seed: u64) {
    let client = |name: u64| Client {
        name,
        site: site.clone(),
        world: Arc::clone(world),
        random: Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(name)),
    };
    (0..3).for_each(|name| drop(load.spawn(update_with_keys(client(name)))));
    (10..12).for_each(|name| drop(load.spawn(update_without_keys(client(name)))));
    COUNTED.into_iter().zip(20..).for_each(|(product, name)| drop(load.spawn(deliver(client(name), product))));
    (30..33).for_each(|name| drop(load.spawn(reservations::reserve(client(name)))));
    load.spawn(read(client(40)));
}

pub(super) fn signed(body: &Value, name: &str) -> Result<i64, Failure> {
    body.get(name).and_then(Value::as_i64).ok_or_else(|| format!("{name} is missing in {body}").into())
}

pub(super) fn version(body: &Value, name: &str) -> Result<u64, Failure> {
    Ok(signed(body, name)?.try_into()?)
}

async fn update_with_keys(mut client: Client) -> Result<(), Failure> {
    let mut applied: Vec<(String, Value)> = Vec::new();
    for n in 0_u64.. {
        if client.world.is_stopped() {
            break;
        }
        if client.random.u8(0..10) == 0 && !applied.is_empty() {
            let place = client.random.usize(0..applied.len());
            repeat(&client, applied.get(place)).await?;
        }
        let product = client.one_of(&KEYED);
        let delta = if client.random.bool() { client.random.i64(1..=3) } else { -client.random.i64(1..=4) };
        let key = format!("{}/{n}", client.name);
        let body = json!({
            "storeId": PLACE, "productId": product, "delta": delta, "version": null, "idempotencyKey": key,
        });
        let body = body.to_string();
        let answer = client.site.settle("POST", "/inventory/updates", &[], Some(body.as_bytes())).await?;
        match answer.status {
            200 => {
                let (version, quantity) = (version(&answer.body, "newVersion")?, signed(&answer.body, "newQuantity")?);
                client.world.answered(product, version, delta, quantity);
                client.world.count("update with key", "applied");
                applied.push((body, answer.body));
            }
            422 => client.world.count("update with key", "refused"),
            _ => return Err(format!("{answer:?}").into()),
        }
        client.think().await;
    }
    Ok(())
}

/// What was answered once is answered so again.
async fn repeat(client: &Client, applied: Option<&(String, Value)>) -> Result<(), Failure> {
    let Some((body, first)) = applied else { return Ok(()) };
    let again = client.site.settle("POST", "/inventory/updates", &[], Some(body.as_bytes())).await?;
    if again.status != 200 || again.body != *first {
        client.world.violated(format!("{body} was answered {first}, and its repetition {again:?}"));
    }
    client.world.count("update with key", "repeated");
    Ok(())
}

async fn update_without_keys(mut client: Client) -> Result<(), Failure> {
    for product in KEYLESS {
        // An adjustment needs a level that is there.
        let key = format!("stock/{}/{product}", client.name);
        let body = json!({
            "storeId": PLACE, "productId": product, "delta": 1, "version": null, "idempotencyKey": key,
        });
        let answer = client.site.ask("POST", "/inventory/updates", Some(&body)).await?.expect(200)?;
        let (version, quantity) = (version(&answer, "newVersion")?, signed(&answer, "newQuantity")?);
        client.world.answered(product, version, 1, quantity);
    }
    while !client.world.is_stopped() {
        let product = client.one_of(&KEYLESS);
        let delta = if client.random.bool() { client.random.i64(1..=3) } else { -client.random.i64(1..=4) };
        let path = format!("/api/inventory/stores/{PLACE}/inventory/{product}/adjust");
        let body = json!({ "delta": delta }).to_string();
        match client.site.once("POST", &path, &[], Some(body.as_bytes())).await? {
            Some(answer) if answer.status == 200 => {
                let (version, quantity) = (version(&answer.body, "newVersion")?, signed(&answer.body, "newQuantity")?);
                client.world.answered(product, version, delta, quantity);
                client.world.count("update without key", "applied");
            }
            Some(answer) if answer.status == 422 => client.world.count("update without key", "refused"),
            Some(answer) => return Err(format!("{answer:?}").into()),
            None => {
                client.world.known().unknown.entry(product).or_default().push(delta);
                client.world.count("update without key", "unknown");
            }
        }
        client.think().await;
    }
    Ok(())
}

/// Counts of one product, each with its own number of units, in the order of their times.
async fn deliver(mut client: Client, product: &'static str) -> Result<(), Failure> {
    let mut last = SystemClock.now().plus_millis(-1);
    for units in 1_i64.. {
        if client.world.is_stopped() {
            break;
        }
        // A clock that stands still or was set back must not make two counts of one time.
        last = SystemClock.now().max(last.plus_millis(1));
        let body = json!({
            "product_code": product, "available_stock": units, "timestamp": last.to_string(), "warehouse": PLACE,
        });
        let body = body.to_string();
        let signature = sign(&body)?;
        let headers = [("x-marketplace-signature", signature.as_str())];
        let path = "/webhooks/marketplace-a";
        client.site.settle("POST", path, &headers, Some(body.as_bytes())).await?.expect(202)?;
        client.world.known().counts.insert(product, (units, u64::try_from(units)?));
        client.world.count("webhook", "acknowledged");
        if client.random.u8(0..20) == 0 {
            client.site.settle("POST", path, &headers, Some(body.as_bytes())).await?.expect(202)?;
            client.world.count("webhook", "repeated");
        }
        client.think().await;
    }
    Ok(())
}

/// Whoever reads sees no level go back, and none below 0.
async fn read(mut client: Client) -> Result<(), Failure> {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let all: Vec<_> = products().collect();
    while !client.world.is_stopped() {
        let product = client.one_of(&all);
        let answer = client.site.ask("GET", &format!("/inventory/{product}?storeId={PLACE}"), None).await?;
        if answer.status == 200 {
            let version = version(&answer.body, "version")?;
            let before = seen.insert(product, version).unwrap_or_default();
            if version < before {
                client.world.violated(format!("{product}: version {before} was read, and then {version}"));
            }
            for name in ["available", "reserved"] {
                if signed(&answer.body, name)? < 0 {
                    client.world.violated(format!("{product}: {}", answer.body));
                }
            }
            if signed(&answer.body, "oversold")? != 0 {
                client.world.violated(format!("{product} is oversold: {}", answer.body));
            }
        }
        client.world.count("read", if answer.status == 200 { "found" } else { "not there" });
        client.think().await;
    }
    Ok(())
}
