//! Turning requests away while more waits than can be worked off: callers come again, and what waits gets through.

use core::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use evenstock_app::{Clock, QueueError, with_causes};
use futures::future::BoxFuture;

use super::ApiError;
use crate::SystemClock;
use crate::metrics::{Counter, count};

/// How long an answer about the queue is believed, in milliseconds.
const SAMPLE_MS: i64 = 5_000;

/// How long callers are asked to wait, in seconds.
const WAIT_S: u32 = 10;

type Depth = dyn Fn() -> BoxFuture<'static, Result<u64, QueueError>> + Send + Sync;

struct Gate {
    depth_max: u64,
    depth: Box<Depth>,
    sampled_at: AtomicI64,
    shut: AtomicBool,
}

/// Answers 503 on these routes while `depth` is above `depth_max`. The depth is asked for every five seconds at most, by
/// one request; when it cannot be had, the last one stands.
pub fn shed<F>(routes: Router, depth_max: u64, depth: F) -> Router
where
    F: Fn() -> BoxFuture<'static, Result<u64, QueueError>> + Send + Sync + 'static,
{
    let (sampled_at, shut) = (AtomicI64::new(0), AtomicBool::new(false));
    let gate = Arc::new(Gate { depth_max, depth: Box::new(depth), sampled_at, shut });
    routes.route_layer(from_fn_with_state(gate, check))
}

async fn check(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let (now, sampled_at) = (SystemClock.now().as_millis(), gate.sampled_at.load(Ordering::Relaxed));
    let due = now.saturating_sub(sampled_at) >= SAMPLE_MS;
    if due && gate.sampled_at.compare_exchange(sampled_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        match (gate.depth)().await {
            Ok(depth) => gate.shut.store(depth > gate.depth_max, Ordering::Relaxed),
            Err(error) => tracing::warn!(error = with_causes(&error), "the queue's depth cannot be had"),
        }
    }
    if gate.shut.load(Ordering::Relaxed) {
        count(Counter::Shed, 1);
        return ApiError::overloaded(WAIT_S).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::AtomicU64;

    use axum::body::Body;
    use axum::routing::post;
    use futures::future::FutureExt;

    use super::*;
    use crate::http::shell;
    use crate::testing::ask;

    fn asked() -> Request {
        Request::builder().method("POST").uri("/").body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn deep_queue_turns_requests_away_and_is_asked_for_once() {
        let calls = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&calls);
        let depth = move || {
            seen.fetch_add(1, Ordering::SeqCst);
            async { Ok(11) }.boxed()
        };
        let router = shell(shed(Router::new().route("/", post(async || "done")), 10, depth));
        for _ in 0..3 {
            let reply = ask(&router, asked()).await;
            assert_eq!((reply.refusal(), reply.header("retry-after")), ((503, "unavailable"), Some("10")));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn depth_within_bounds_or_unknown_lets_requests_through() {
        for depth in [Ok(10), Err(())] {
            let answer = move || async move { depth.map_err(|()| QueueError("down".into())) }.boxed();
            let router = shell(shed(Router::new().route("/", post(async || "done")), 10, answer));
            assert_eq!(ask(&router, asked()).await.text, "done");
        }
    }
}
