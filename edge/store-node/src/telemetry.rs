//! The node's log, and its spans and metrics where somebody takes them.
//!
//! Owns what is told of the node's work, and must not know what the work means.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use clap::Args;
use evenstock_telemetry::{
    Answer, Exporter, InvalidSetting, Measured, Metric, OtlpSettings, Post, SpanLayer, Transport,
};
use reqwest::{Client, redirect};
use tokio::time::timeout;
use tracing::warn;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::clock::now_ns;
use crate::node::Stop;

/// How often it is sent.
const EVERY: Duration = Duration::from_secs(1);

/// How long a request to the collector may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Bytes of snapshots that were taken into the copy.
static SNAPSHOT_BYTES: AtomicU64 = AtomicU64::new(0);

/// Where telemetry goes: OpenTelemetry's own variables.
#[derive(Args)]
pub(crate) struct OtlpOptions {
    /// Base URL of an OpenTelemetry collector that takes OTLP over HTTP; unset: nothing is sent.
    #[arg(long = "otlp-endpoint", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    endpoint: Option<String>,
    /// Headers for the collector: name=value, separated by commas.
    #[arg(long = "otlp-headers", env = "OTEL_EXPORTER_OTLP_HEADERS", hide_env_values = true)]
    headers: Option<String>,
    #[arg(long, env = "OTEL_EXPORTER_OTLP_PROTOCOL", hide = true)]
    otlp_protocol: Option<String>,
    #[arg(long, env = "OTEL_SERVICE_NAME", hide = true)]
    otel_service_name: Option<String>,
    #[arg(long, env = "OTEL_SDK_DISABLED", hide = true)]
    otel_sdk_disabled: Option<String>,
}

/// Why the node does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    #[error("{} must be {}", .0.name, .0.expected)]
    Setting(InvalidSetting),
    #[error("the HTTP client for telemetry cannot start")]
    Client(#[from] reqwest::Error),
    #[error("the log cannot start")]
    Log(#[from] tracing_subscriber::util::TryInitError),
}

/// What sends telemetry, if anything does.
#[derive(Clone)]
pub(crate) struct Telemetry(Option<Arc<Exporter>>);

impl Telemetry {
    /// Starts the log at `level`, and what sends telemetry.
    pub(crate) fn start(options: &OtlpOptions, level: &str) -> Result<Self, TelemetryError> {
        let variable = |name: &str| {
            let value = match name {
                "OTEL_EXPORTER_OTLP_ENDPOINT" => &options.endpoint,
                "OTEL_EXPORTER_OTLP_HEADERS" => &options.headers,
                "OTEL_EXPORTER_OTLP_PROTOCOL" => &options.otlp_protocol,
                "OTEL_SERVICE_NAME" => &options.otel_service_name,
                "OTEL_SDK_DISABLED" => &options.otel_sdk_disabled,
                _ => &None,
            };
            value.as_deref().filter(|value| !value.is_empty())
        };
        let settings = OtlpSettings::read(variable, "evenstock-store-node").map_err(TelemetryError::Setting)?;
        let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
        let lines = fmt::layer().with_target(false).with_writer(std::io::stderr).with_filter(filter);
        let log = tracing_subscriber::registry().with(lines);
        let Some(settings) = settings else {
            log.try_init()?;
            return Ok(Self(None));
        };
        let (endpoint, is_moved) = (settings.endpoint.clone(), settings.is_moved);
        let attributes = [
            ("service.namespace", "evenstock".to_owned()),
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("service.instance.id", uuid::Uuid::new_v4().to_string()),
        ];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value));
        let exporter = Arc::new(Exporter::new(settings, &attributes, transport()?, now_ns));
        log.with(SpanLayer::new(Arc::clone(&exporter)).with_filter(filter_fn(SpanLayer::wants))).try_init()?;
        if is_moved {
            warn!(endpoint, "4317 is the port of gRPC; telemetry goes to {endpoint} instead, over HTTP");
        }
        Ok(Self(Some(exporter)))
    }

    /// Sends from time to time until `stop`.
    pub(crate) async fn send_until(self, mut stop: Stop) {
        // Also where nobody takes telemetry: a part of the node that ends by itself is a failure, and ends the node.
        while timeout(EVERY, stop.wait_for(|stop| *stop)).await.is_err() {
            self.send(false).await;
        }
    }

    /// Sends what there is.
    pub(crate) async fn send(&self, last: bool) {
        if let Some(exporter) = &self.0 {
            exporter.flush(metrics, LIMIT, last).await;
        }
    }
}

/// Counts a page of a snapshot.
pub(crate) fn count_snapshot(bytes: usize) {
    SNAPSHOT_BYTES.fetch_add(u64::try_from(bytes).unwrap_or_default(), Ordering::Relaxed);
}

fn metrics() -> Vec<Metric> {
    let measured = Measured::Sum(SNAPSHOT_BYTES.load(Ordering::Relaxed));
    vec![Metric { name: "snapshot_write_bytes".to_owned(), unit: "By", measured }]
}

fn transport() -> Result<Transport, reqwest::Error> {
    let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().build()?;
    Ok(Box::new(move |post, limit| {
        let client = client.clone();
        Box::pin(async move { send(&client, post, limit).await })
    }))
}

async fn send(client: &Client, post: Post, limit: Duration) -> Answer {
    let Post { url, headers, body } = post;
    let request = client.post(url).timeout(limit).body(body);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    let response = request.send().await.map_err(|error| error.without_url().to_string())?;
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(format!("it answered {}", status.as_u16())) }
}
