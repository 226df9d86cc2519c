//! Before and after the storm: how a world is set up, and how all that is under way comes to rest.

use std::mem::take;

use axum::body::Body;
use axum::http::Request;
use evenstock_app::testing::MemorySealer;
use evenstock_app::testing::worlds::SkewedClock;
use evenstock_app::{
    CallbackJob, CallbackStore, Clock, MarketplaceStores, QueueName, RegisterStore, SealError, Sealer, SecretText,
    register_endpoint, register_store, secret_context,
};
use evenstock_domain::{
    DeliveryState, Endpoint, EndpointId, LocationId, Marketplace, ReservationState, Secrets, StoreId, Subscription,
    Timestamp,
};
use evenstock_runtime::testing::ask;
use serde_json::json;

use crate::actors::{Due, LOW_STOCK};
use crate::functions::organization;
use crate::nature::Draw;
use crate::stream::SHARDS;
use crate::world::{QUEUES, World, finish};

/// Batches that what waits after a storm may take.
const TURNS_MAX: u32 = 1_000;

impl World {
    /// The levels have their first counts and a threshold, somebody wants to be told, and a store is registered.
    pub(crate) fn set_up(&mut self) {
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
            let request = Request::put(path).header("x-api-key", "key");
            let request = request.body(Body::from(body.to_string())).unwrap();
            let reply = finish(ask(&self.instances[0].inventory, request));
            assert_eq!(reply.status, 200, "{}", reply.text);
        }
    }

    /// The storm is over. Some of those who still run go on; then everything that waits is done, again and again, until
    /// nothing is left.
    pub(crate) fn heal(&mut self) -> Result<(), String> {
        self.nature.set_calm(true);
        self.met.given_up = QUEUES.iter().map(|queue| self.outside.queues.dead(*queue).len() as u64).sum();
        while self.processes.len() > 2 {
            let place = self.random.place(self.processes.len());
            self.die(place);
        }
        for (_, _, due) in take(&mut self.plan.due) {
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
            // What fails again and again may only have to wait.
            self.nature.pass(if turn > 100 { 2_000 } else { 0 });
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
    S: MarketplaceStores + CallbackStore,
{
    let sealer = MemorySealer::default();
    let sealed: Result<_, SealError> =
        sealer.seal(&secret_context(&organization(), &endpoint_id()), "whsec_AAAA").await;
    let now = clock.now();
    let endpoint = Endpoint {
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
        marketplace: Marketplace::parse("etsy").unwrap(),
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
