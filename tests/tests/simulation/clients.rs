//! How sources and clients reach the functions: what each sends, what it is told, and when it tries again.

use evenstock_app::{Outgoing, QueueName, StockStore};
use evenstock_runtime::testing::{Reply, ask};
use serde_json::{Value, json};

use crate::actors::{Ask, Due, delivery, message};
use crate::functions::organization;
use crate::world::{Done, Duty, World, finish};

impl World {
    /// A source's fact reaches the queue: whoever brings it does so until it is taken.
    pub(crate) fn bring(&mut self, n: usize) {
        let body = message(&self.plan.levels, &self.plan.facts[n], n).to_json().unwrap();
        self.outside.queues.take(QueueName::StockChanges, Outgoing::now(body, organization()));
    }

    /// A client sends its request, always the same one.
    pub(crate) fn try_client(&mut self, n: usize) {
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
    pub(crate) fn request_of(&mut self, n: usize) -> Option<(String, Value)> {
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

    /// A client gets an answer.
    pub(crate) fn told(&mut self, n: usize, number: u64, reply: Reply) {
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
    pub(crate) fn not_told(&mut self, n: usize) {
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
}
