//! The central system: levels with versions, keys that are bound to what was asked, and a script of failures.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What it does with a request instead of answering it.
#[derive(Debug, Clone)]
pub(crate) enum Mischief {
    /// Does it, and fails.
    LosesTheAnswer,
    /// Answers this, with a wait.
    Answers(u16, Option<u32>),
    /// Does it, and answers this text.
    Says(String),
    /// Does it, and leaves out the last result.
    LeavesOne,
    /// Refuses updates of this product for good.
    Refuses(&'static str),
}

#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Quantity and version of a product; all at one location.
    pub(crate) levels: BTreeMap<String, (i64, u64)>,
    keys: BTreeMap<String, (Value, Value)>,
    pub(crate) script: VecDeque<Mischief>,
    /// Bodies of all updates, as they came.
    pub(crate) updates: Vec<Value>,
    /// Requests of both kinds.
    pub(crate) requests: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Central {
    pub(crate) url: String,
    books: Arc<Mutex<Books>>,
}

impl Central {
    pub(crate) async fn start() -> Self {
        let books = Arc::new(Mutex::new(Books::default()));
        let router = Router::new()
            .route("/inventory/updates", post(update))
            .route("/inventory/{sku}", get(level))
            .with_state(Arc::clone(&books));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, books }
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    pub(crate) fn plans(&self, mischief: Mischief) {
        self.books().script.push_back(mischief);
    }

    /// Something happens there that it does not tell us of.
    pub(crate) fn changes(&self, sku: &str, delta: i64) {
        let mut books = self.books();
        let level = books.levels.entry(sku.to_owned()).or_default();
        *level = (level.0 + delta, level.1 + 1);
    }

    pub(crate) fn quantity(&self, sku: &str) -> i64 {
        self.books().levels[sku].0
    }

    pub(crate) fn requests(&self) -> u64 {
        self.books().requests
    }
}

type Shared = State<Arc<Mutex<Books>>>;

async fn update(State(books): Shared, headers: HeaderMap, body: Bytes) -> Response {
    let mut books = books.lock().unwrap();
    books.requests += 1;
    assert_eq!(headers["authorization"], "Bearer central-key");
    let body: Value = serde_json::from_slice(&body).unwrap();
    let mischief = books.script.pop_front();
    if let Some(Mischief::Answers(status, wait)) = mischief {
        let status = StatusCode::from_u16(status).unwrap();
        return match wait {
            Some(seconds) => (status, [("retry-after", seconds.to_string())]).into_response(),
            None => status.into_response(),
        };
    }
    let refused = match mischief {
        Some(Mischief::Refuses(sku)) => sku,
        _ => "",
    };
    let mut results: Vec<_> =
        body["updates"].as_array().unwrap().iter().map(|update| books.apply(update, refused)).collect();
    match mischief {
        Some(Mischief::LosesTheAnswer) => return StatusCode::BAD_GATEWAY.into_response(),
        Some(Mischief::Says(text)) => return text.into_response(),
        Some(Mischief::LeavesOne) => drop(results.pop()),
        _ => {}
    }
    json!({ "results": results }).to_string().into_response()
}

impl Books {
    fn apply(&mut self, update: &Value, refused: &str) -> Value {
        self.updates.push(update.clone());
        let sku = update["productId"].as_str().unwrap().to_owned();
        let failed =
            |kind: &str| json!({ "productId": sku, "applied": false, "errorType": kind, "errorMessage": "said why" });
        if sku == refused {
            return failed("bad_request");
        }
        let key = update["idempotencyKey"].as_str().unwrap().to_owned();
        if let Some((asked, answer)) = self.keys.get(&key) {
            return if asked == update { answer.clone() } else { failed("unprocessable") };
        }
        let (quantity, version) = self.levels.get(&sku).copied().unwrap_or_default();
        let delta = update["delta"].as_i64().unwrap();
        assert_ne!(delta, 0);
        if update["version"].as_u64() != Some(version) {
            return failed("conflict");
        }
        if quantity + delta < 0 {
            return failed("unprocessable");
        }
        self.levels.insert(sku.clone(), (quantity + delta, version + 1));
        let answer =
            json!({ "productId": sku, "applied": true, "newQuantity": quantity + delta, "newVersion": version + 1 });
        self.keys.insert(key, (update.clone(), answer.clone()));
        answer
    }
}

async fn level(
    State(books): Shared,
    Path(sku): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let mut books = books.lock().unwrap();
    books.requests += 1;
    assert_eq!(query["storeId"], "main");
    match books.levels.get(&sku) {
        Some((quantity, version)) => {
            json!({ "available": quantity, "oversold": 0, "version": version }).to_string().into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
