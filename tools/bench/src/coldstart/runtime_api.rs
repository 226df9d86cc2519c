//! Lambda's Runtime API, as far as a program needs it: the same event again and again, and somebody who takes the answers.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use evenstock_app::Clock;
use evenstock_runtime::SystemClock;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::Failure;

/// How long an invocation may take, as the program is told. Under callgrind everything takes fifty times as long.
const DEADLINE_MS: i64 = 300_000;

/// One program's Runtime API.
pub(crate) struct RuntimeApi {
    /// `host:port`, for `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) address: String,
    shared: Arc<Shared>,
}

struct Shared {
    event: String,
    invocations: u32,
    given: AtomicU32,
    answers: Mutex<Vec<(Instant, Value)>>,
    failures: Mutex<Vec<String>>,
    ended: Notify,
}

impl RuntimeApi {
    /// Gives `event` to the program that comes, `invocations` times, one after the other.
    pub(crate) async fn start(event: &Value, invocations: u32) -> Result<Self, Failure> {
        let shared = Arc::new(Shared {
            event: event.to_string(),
            invocations,
            given: AtomicU32::new(0),
            answers: Mutex::default(),
            failures: Mutex::default(),
            ended: Notify::new(),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(respond))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(fail))
            .route("/2018-06-01/runtime/init/error", post(fail_at_start))
            .with_state(Arc::clone(&shared));
        let address = serve(router, || ()).await?;
        Ok(Self { address, shared })
    }

    /// Waits until the program asks for an event more than there are: the answers and their times.
    pub(crate) async fn finished(&self, patience: Duration) -> Result<Vec<(Instant, Value)>, Failure> {
        timeout(patience, self.shared.ended.notified()).await.map_err(|_| "the program does not finish")?;
        if let Some(failure) = lock(&self.shared.failures).first() {
            return Err(failure.clone().into());
        }
        Ok(lock(&self.shared.answers).clone())
    }
}

/// Serves on a free port of loopback, tells `connected` of each connection, and answers without waiting for more to
/// send: its address.
pub(crate) async fn serve(router: Router, connected: impl Fn() + Send + 'static) -> Result<String, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?.to_string();
    let listener = listener.tap_io(move |stream| {
        connected();
        if let Err(error) = stream.set_nodelay(true) {
            tracing::warn!(%error, "answers may be delayed");
        }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    let number = shared.given.fetch_add(1, Ordering::Relaxed);
    if number >= shared.invocations {
        shared.ended.notify_one();
        return std::future::pending().await;
    }
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", format!("00000000-0000-4000-8000-{number:012}")),
        ("lambda-runtime-deadline-ms", SystemClock.now().plus_millis(DEADLINE_MS).as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-central-1:000000000000:function:bench".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-6a8f1c00-0123456789abcdef01234567;Sampled=0".to_owned()),
    ];
    (headers, shared.event.clone()).into_response()
}

async fn respond(State(shared): State<Arc<Shared>>, Path(_): Path<String>, body: Bytes) -> StatusCode {
    let answer = serde_json::from_slice(&body).unwrap_or(Value::Null);
    lock(&shared.answers).push((Instant::now(), answer));
    StatusCode::ACCEPTED
}

async fn fail(State(shared): State<Arc<Shared>>, Path(_): Path<String>, body: Bytes) -> StatusCode {
    shared.failed("the invocation failed", &body)
}

async fn fail_at_start(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    shared.failed("the program cannot start", &body)
}

impl Shared {
    fn failed(&self, what: &str, body: &Bytes) -> StatusCode {
        lock(&self.failures).push(format!("{what}: {}", String::from_utf8_lossy(body)));
        self.ended.notify_one();
        StatusCode::ACCEPTED
    }
}
