//! A centre that keeps the wire contract: levels, feed, idempotency keys, keys of organizations; and that can be killed,
//! restarted, made to fail and to lose answers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Router, extract::Request, middleware};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::time::Instant;

const TIME: &str = "2026-01-01T00:00:00.000Z";

/// How the centre behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Up,
    /// Every request gets this status, and is asked to wait so many seconds.
    Fails(u16, Option<u32>),
    /// Writes get this status, reads work.
    WritesFail(u16, Option<u32>),
    /// Writes are done, and their answers lost.
    LosesAnswers,
    /// Writes are done slowly, so that a kill finds one in the middle.
    Slow(u64),
    /// Another server stands at this address.
    Foreign,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) qty: i64,
    pub(crate) reserved: i64,
    pub(crate) version: u64,
}

/// What the centre keeps.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) levels: BTreeMap<(String, String), Level>,
    pub(crate) feed: Vec<Value>,
    /// Changes that are no longer kept.
    pub(crate) expired: u64,
    pub(crate) mode: Mode,
    pub(crate) api_key: String,
    /// Products of a snapshot page.
    pub(crate) page: usize,
    /// Bodies and answers by key.
    keys: HashMap<String, (String, Option<Value>)>,
    /// Keys of writes, in the order in which they took effect.
    pub(crate) effects: Vec<String>,
    /// Every update that was asked for, with the time.
    pub(crate) asked: Vec<(Instant, Value)>,
    pub(crate) snapshots: usize,
}

impl World {
    /// A change of a level, as anybody may make it.
    pub(crate) fn change(&mut self, product: &str, store: &str, delta: i64, reserve: i64) -> Level {
        let level = self.levels.entry((product.to_owned(), store.to_owned())).or_default();
        level.qty += delta;
        level.reserved += reserve;
        level.version += 1;
        assert!(level.qty >= 0, "stock went below zero");
        self.feed.push(json!({
            "seq": self.expired + u64::try_from(self.feed.len()).unwrap() + 1, "type": "StockIncreased",
            "productId": product, "storeId": store, "delta": delta, "newQuantity": level.qty,
            "newReserved": level.reserved, "newVersion": level.version, "source": "api", "eventId": "e", "ts": TIME,
        }));
        level.clone()
    }

    fn head(&self) -> u64 {
        self.expired + u64::try_from(self.feed.len()).unwrap()
    }

    /// Drops the whole feed, as after a long time.
    pub(crate) fn expire(&mut self) {
        self.expired = self.head();
        self.feed.clear();
    }

    fn update(&mut self, store: &str, update: &Value) -> Result<(Value, bool), (u16, Value)> {
        let text = |name: &str| update[name].as_str().unwrap().to_owned();
        let (product, delta, key) = (text("productId"), update["delta"].as_i64().unwrap(), text("idempotencyKey"));
        let canonical = json!([product, store, delta, update["version"]]).to_string();
        let (bound, answer) = self.keys.entry(key.clone()).or_insert((canonical.clone(), None)).clone();
        if bound != canonical {
            return Err(refused(422, "unprocessable", "the idempotency key was used for another request", None));
        }
        if let Some(answer) = answer {
            return Ok((answer, true));
        }
        let level = self.levels.get(&(product.clone(), store.to_owned())).cloned().unwrap_or_default();
        if update["version"].as_u64().is_some_and(|version| version != level.version) {
            return Err(refused(409, "conflict", "another version", Some(&level)));
        }
        if level.qty + delta < 0 {
            return Err(refused(422, "unprocessable", "not enough stock", Some(&level)));
        }
        let level = self.change(&product, store, delta, 0);
        let answer = json!({
            "productId": product, "storeId": store, "newQuantity": level.qty, "newVersion": level.version,
            "applied": true, "lastUpdated": TIME,
        });
        self.effects.push(key.clone());
        self.keys.insert(key, (canonical, Some(answer.clone())));
        Ok((answer, false))
    }
}

fn refused(status: u16, code: &str, message: &str, level: Option<&Level>) -> (u16, Value) {
    let mut body = json!({ "code": code, "message": message, "details": [], "requestId": "centre" });
    if let Some(level) = level {
        body["current"] = json!({ "available": level.qty, "version": level.version });
    }
    (status, body)
}

fn answer(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

/// The centre. It runs on threads of its own, so that killing it breaks every connection.
pub(crate) struct Centre {
    port: u16,
    world: Arc<Mutex<World>>,
    running: Option<Runtime>,
}

impl Centre {
    pub(crate) fn start() -> Self {
        let world = World {
            levels: BTreeMap::new(),
            feed: Vec::new(),
            expired: 0,
            mode: Mode::Up,
            api_key: "demo".to_owned(),
            page: 2,
            keys: HashMap::new(),
            effects: Vec::new(),
            asked: Vec::new(),
            snapshots: 0,
        };
        let mut centre = Self { port: 0, world: Arc::new(Mutex::new(world)), running: None };
        centre.restart();
        centre
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn mode(&self, mode: Mode) {
        self.world().mode = mode;
    }

    /// Stops listening and breaks every connection; what is kept is kept.
    pub(crate) fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown_background();
        }
    }

    /// Listens again, on the same port.
    pub(crate) fn restart(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let routes = Router::new()
            .route("/replication/snapshot", get(snapshot))
            .route("/replication/changes", get(changes))
            .route("/inventory/updates", post(updates))
            .layer(middleware::from_fn_with_state(Arc::clone(&self.world), behave))
            .with_state(Arc::clone(&self.world));
        let port = self.port;
        let (sender, receiver) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let listener = loop {
                match TcpListener::bind(("127.0.0.1", port)).await {
                    Ok(listener) => break listener,
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            };
            sender.send(listener.local_addr().unwrap().port()).unwrap();
            axum::serve(listener, routes).await.unwrap();
        });
        self.port = receiver.recv_timeout(Duration::from_secs(30)).unwrap();
        self.running = Some(runtime);
    }
}

impl Drop for Centre {
    fn drop(&mut self) {
        self.kill();
    }
}

type Shared = State<Arc<Mutex<World>>>;

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn behave(State(world): Shared, request: Request, next: middleware::Next) -> Response {
    let (mode, key) = {
        let world = lock(&world);
        (world.mode, world.api_key.clone())
    };
    let is_write = request.method() == "POST";
    match mode {
        Mode::Foreign => return (StatusCode::NOT_FOUND, "<html>nothing here</html>").into_response(),
        Mode::Fails(status, wait) => return failed(status, wait),
        Mode::WritesFail(status, wait) if is_write => {
            lock(&world).asked.push((Instant::now(), Value::Null));
            return failed(status, wait);
        }
        _ => {}
    }
    if request.headers().get("x-api-key").is_none_or(|sent| sent != key.as_str()) {
        return answer(401, refused(401, "unauthorized", "missing or wrong API key", None).1);
    }
    let response = next.run(request).await;
    if mode == Mode::LosesAnswers && is_write { failed(502, None) } else { response }
}

fn failed(status: u16, wait: Option<u32>) -> Response {
    let mut response = answer(status, refused(status, "unavailable", "not now", None).1);
    if let Some(wait) = wait {
        response.headers_mut().insert("retry-after", wait.into());
    }
    response
}

async fn snapshot(State(world): Shared, Query(query): Query<HashMap<String, String>>) -> Response {
    let mut world = lock(&world);
    world.snapshots += 1;
    let after = query.get("cursor").map(|cursor| cursor.strip_prefix("after-").unwrap().to_owned());
    let mut state: BTreeMap<String, Value> = BTreeMap::new();
    let mut next_cursor = String::new();
    for ((product, store), level) in &world.levels {
        if after.as_ref().is_some_and(|after| product <= after) {
            continue;
        }
        if !state.contains_key(product) && state.len() == world.page {
            next_cursor = format!("after-{}", state.keys().next_back().unwrap());
            break;
        }
        let row = state
            .entry(product.clone())
            .or_insert(json!({ "qty": 0, "version": 0, "updatedAt": TIME, "perStore": {} }));
        let Level { qty, reserved, version } = level;
        row["perStore"][store] = json!({ "qty": qty, "reserved": reserved, "version": version, "updatedAt": TIME });
    }
    let last_offset = world.expired.max(world.head().saturating_sub(3));
    answer(200, json!({ "state": state, "lastOffset": last_offset, "nextCursor": next_cursor }))
}

async fn changes(State(world): Shared, Query(query): Query<HashMap<String, String>>) -> Response {
    let number = |name: &str| query[name].parse::<u64>().unwrap();
    let (from, limit) = (number("fromOffset"), usize::try_from(number("limit")).unwrap());
    let until = Instant::now() + Duration::from_secs(number("longPollSeconds"));
    loop {
        {
            let world = lock(&world);
            if from < world.expired {
                return answer(410, refused(410, "gone", "older than what is kept", None).1);
            }
            if from > world.head() {
                let mut body = refused(400, "bad_request", "fromOffset is ahead of the head", None).1;
                body["details"] = json!([{ "field": "fromOffset", "issue": "is ahead of the head" }]);
                return answer(400, body);
            }
            let skip = usize::try_from(from - world.expired).unwrap();
            let events: Vec<_> = world.feed.iter().skip(skip).take(limit).cloned().collect();
            if !events.is_empty() || Instant::now() >= until {
                let next = from + u64::try_from(events.len()).unwrap();
                return answer(200, json!({ "events": events, "nextOffset": next, "hasMore": next < world.head() }));
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn updates(State(world): Shared, _headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let mode = lock(&world).mode;
    if let Mode::Slow(millis) = mode {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    let response = {
        let mut world = lock(&world);
        let store = body["storeId"].as_str().unwrap();
        if let Some(updates) = body["updates"].as_array() {
            let results: Vec<_> = updates
                .iter()
                .map(|update| match world.update(store, update) {
                    Ok((answer, _)) => answer,
                    Err((_, error)) => json!({
                        "productId": update["productId"], "applied": false, "errorType": error["code"],
                        "errorMessage": error["message"],
                    }),
                })
                .collect();
            answer(200, json!({ "results": results, "summary": { "total": updates.len() } }))
        } else {
            world.asked.push((Instant::now(), body.clone()));
            match world.update(store, &body) {
                Ok((body, replayed)) => {
                    let mut response = answer(200, body);
                    if replayed {
                        response.headers_mut().insert("idempotency-replayed", "true".parse().unwrap());
                    }
                    response
                }
                Err((status, body)) => answer(status, body),
            }
        }
    };
    if let Mode::Slow(millis) = mode {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    response
}
