//! Deliveries of marketplace A, from the request to the message on the queue.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking; that is how it reports"
)]

mod answers;
mod bodies;
mod registered;
mod signatures;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request};
use evenstock_app::testing::{MemoryQueue, MemorySealer, MemoryStore};
use evenstock_app::{QueueName, StockChange};
use evenstock_runtime::testing::{Contract, Reply};
use evenstock_runtime::{Environment, SystemClock};
use evenstock_webhook::{Intake, Stores, connections, openapi, router};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

const PATH: &str = "/webhooks/marketplace-a";

const BODY: &str =
    r#"{"product_code":"SKU-1","available_stock":7,"timestamp":"2026-11-20T08:00:00Z","warehouse":"main"}"#;

/// Every answer is held to the description of the function.
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::of(&openapi()));

/// The function with a queue in memory.
struct Function {
    intake: Arc<Intake<MemoryQueue, MemoryStore, MemorySealer, SystemClock>>,
    router: Router,
}

impl Function {
    /// With the secret `secret`.
    fn new() -> Self {
        Self::with_secrets("secret")
    }

    fn with_secrets(secrets: &str) -> Self {
        let environment: Environment = [("MARKETPLACE_A_SECRET", secrets)].into_iter().collect();
        let queue = MemoryQueue::default();
        let configured = connections(&environment).unwrap();
        let stores = Stores::new(configured, Arc::default(), MemorySealer::default(), SystemClock);
        let intake = Arc::new(Intake { queue, stores });
        Self { router: router(Arc::clone(&intake)), intake }
    }

    /// Delivers a body under a signature that need not be its own.
    async fn deliver(&self, path: &str, body: impl AsRef<[u8]>, signature: impl AsRef<[u8]>) -> Reply {
        deliver(&self.router, path, body, signature).await
    }

    /// Delivers a body that is signed with the secret.
    async fn deliver_signed(&self, body: impl AsRef<[u8]>) -> Reply {
        let signature = signed("secret", body.as_ref());
        self.deliver(PATH, body, signature).await
    }

    /// Everything on the queue; what the worker could not read fails here.
    fn queued(&self) -> Vec<StockChange> {
        queued(&self.intake.queue)
    }
}

async fn deliver(router: &Router, path: &str, body: impl AsRef<[u8]>, signature: impl AsRef<[u8]>) -> Reply {
    let signature = HeaderValue::from_bytes(signature.as_ref()).unwrap();
    let request = Request::post(path).header("x-marketplace-signature", signature);
    CONTRACT.ask(router, request.body(Body::from(body.as_ref().to_vec())).unwrap()).await
}

fn queued(queue: &MemoryQueue) -> Vec<StockChange> {
    let bodies = queue.bodies(QueueName::StockChanges);
    let ids = evenstock_domain::EventIdKey::new(*b"0123456789abcdef");
    let changes: Vec<_> = bodies.iter().map(|body| StockChange::from_json(body).unwrap()).collect();
    changes.iter().for_each(|change| drop(change.to_event(&ids).unwrap()));
    changes
}

fn signed(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// The body with one field replaced or added.
fn body_with(field: &str, value: impl Into<Value>) -> String {
    let mut body: Value = serde_json::from_str(BODY).unwrap();
    body[field] = value.into();
    body.to_string()
}
