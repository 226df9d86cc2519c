//! Keeps ended spans until they are sent, and sends them and the metrics.
//!
//! Nothing waits for a collector longer than it is told to, and nothing grows while it is away: what does not fit or
//! does not arrive is dropped and counted. It is not tried again, because a trace with a hole is worth less than the
//! time and the memory; metrics are sums since the start, so the next ones make good for those that were lost.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use serde_json::Value;
use tracing::{info, warn};

use crate::otlp::{self, DoneSpan};
use crate::{Measured, Metric, OtlpSettings};

/// Spans that are kept, at most.
const SPANS_MAX: usize = 4096;

/// How long a collector that failed is left alone, in nanoseconds.
const PAUSE_NS: u64 = 5_000_000_000;

/// How often metrics are sent, in nanoseconds.
const METRICS_EVERY_NS: u64 = 10_000_000_000;

/// A request to the collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Where to.
    pub url: String,
    /// Its headers, the kind of the body among them.
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: Vec<u8>,
}

/// What came of a request: why it was not taken.
pub type Answer = Result<(), String>;

/// Makes a request within a time.
pub type Transport = Box<dyn Fn(Post, Duration) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Spans on their way to the collector.
pub struct Exporter {
    settings: OtlpSettings,
    resource: Value,
    transport: Transport,
    /// The clock, in nanoseconds since the Unix epoch.
    clock: fn() -> u64,
    begun_ns: u64,
    spans: Mutex<Vec<DoneSpan>>,
    dropped: AtomicU64,
    is_sending: AtomicBool,
    is_failing: AtomicBool,
    silent_until_ns: AtomicU64,
    metrics_due_ns: AtomicU64,
}

impl core::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Exporter").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Exporter {
    /// An exporter of the process that `attributes` describe.
    pub fn new(
        settings: OtlpSettings,
        attributes: &[(String, String)],
        transport: Transport,
        clock: fn() -> u64,
    ) -> Self {
        let service = [("service.name".to_owned(), settings.service.clone())];
        Self {
            resource: otlp::resource(&[&service, attributes].concat()),
            settings,
            transport,
            clock,
            begun_ns: clock(),
            spans: Mutex::default(),
            dropped: AtomicU64::new(0),
            is_sending: AtomicBool::new(false),
            is_failing: AtomicBool::new(false),
            silent_until_ns: AtomicU64::new(0),
            metrics_due_ns: AtomicU64::new(0),
        }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        (self.clock)()
    }

    pub(crate) fn add(&self, span: DoneSpan) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.len() < SPANS_MAX {
            spans.push(span);
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Spans that were dropped since the process started.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Sends what there is, within `limit` a request, and `metrics` when they are due. A collector that failed is left
    /// alone for a while, unless this is the `last` time.
    pub async fn flush(&self, metrics: impl FnOnce() -> Vec<Metric>, limit: Duration, last: bool) {
        let (now, silent_until) = (self.now_ns(), self.silent_until_ns.load(Ordering::Relaxed));
        if !last && (now < silent_until || self.is_sending.swap(true, Ordering::AcqRel)) {
            return;
        }
        let _sent = Sent(&self.is_sending);
        let spans = core::mem::take(&mut *self.spans.lock().unwrap_or_else(PoisonError::into_inner));
        if !spans.is_empty() {
            let taken = self.post("/v1/traces", &otlp::traces(&self.resource, &spans), limit).await;
            if !self.settle(taken, spans.len()) {
                return;
            }
        }
        if last || now >= self.metrics_due_ns.load(Ordering::Relaxed) {
            self.metrics_due_ns.store(now.saturating_add(METRICS_EVERY_NS), Ordering::Relaxed);
            let mut metrics = metrics();
            let name = "telemetry_spans_dropped_total".to_owned();
            metrics.push(Metric { name, unit: "1", measured: Measured::Sum(self.dropped()) });
            let body = otlp::metrics(&self.resource, &metrics, self.begun_ns, now);
            let taken = self.post("/v1/metrics", &body, limit).await;
            self.settle(taken, 0);
        }
    }

    async fn post(&self, path: &str, body: &Value, limit: Duration) -> Answer {
        let mut headers = self.settings.headers.clone();
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        let url = format!("{}{path}", self.settings.endpoint);
        let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
        (self.transport)(Post { url, headers, body }, limit).await
    }

    /// Whether it was taken. The first failure is logged, and the first success after it.
    fn settle(&self, taken: Answer, spans: usize) -> bool {
        let endpoint = self.settings.endpoint.as_str();
        let Err(reason) = taken else {
            if self.is_failing.swap(false, Ordering::Relaxed) {
                info!(endpoint, dropped = self.dropped(), "telemetry is taken again");
            }
            return true;
        };
        self.dropped.fetch_add(u64::try_from(spans).unwrap_or_default(), Ordering::Relaxed);
        self.silent_until_ns.store(self.now_ns().saturating_add(PAUSE_NS), Ordering::Relaxed);
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            warn!(endpoint, reason, "telemetry is not taken; spans are dropped until it is");
        }
        false
    }
}

/// Also when the sending is cut off.
struct Sent<'a>(&'a AtomicBool);

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
