//! Logs, and telemetry where somebody takes it: JSON lines in Lambda, readable lines on a laptop. Ids yes, bodies and
//! secrets never.
//!
//! Without `OTEL_EXPORTER_OTLP_ENDPOINT` there is no exporter, no layer and no connection: only logs. With it, spans and
//! metrics go out at the end of each call in Lambda, where nothing runs between calls, and in the background elsewhere.

mod collector;

use core::time::Duration;
use std::sync::{Arc, OnceLock};

use evenstock_telemetry::{Exporter, OtlpSettings, SpanLayer};
use tracing::Dispatch;
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::{ConfigError, Environment, metrics, new_id};

/// How long a call may wait for the collector, for each of the two requests at most. One beside the function answers in
/// a millisecond or two.
const CALL_LIMIT: Duration = Duration::from_millis(250);

/// The same where nobody waits.
const BACKGROUND_LIMIT: Duration = Duration::from_secs(3);

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line on stdout, without the time that CloudWatch adds.
    Json,
    /// Text on stderr, for people.
    Text,
}

impl LogFormat {
    fn writer(self) -> BoxMakeWriter {
        match self {
            Self::Json => BoxMakeWriter::new(std::io::stdout),
            Self::Text => BoxMakeWriter::new(std::io::stderr),
        }
    }
}

/// When telemetry is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    AfterCall,
    InBackground,
}

/// The exporter of this process. Empty unless telemetry is sent.
static EXPORTER: OnceLock<(Arc<Exporter>, Sending)> = OnceLock::new();

/// Starts logging at `level` (`error`, `warn`, `info`, `debug`, `trace`, or a filter such as `evenstock=debug`). A level
/// that cannot be read becomes `info`. A second call changes nothing.
pub fn init_logs(level: &str, format: LogFormat) {
    begin(dispatch(level, format, format.writer(), None));
}

/// Starts the logs of a function in Lambda, at `LOG_LEVEL`, and its telemetry if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
///
/// # Errors
/// [`ConfigError`] when a variable of telemetry holds what it must not.
pub async fn init_telemetry(environment: &Environment, service: &str) -> Result<(), ConfigError> {
    let level = environment.optional("LOG_LEVEL").unwrap_or("info");
    if start(environment, service, (level, LogFormat::Json), Sending::AfterCall)? {
        lambda_runtime::spawn_graceful_shutdown_handler(|| send_telemetry(true)).await;
    }
    Ok(())
}

/// The same for a process that lives on: whoever starts it calls [`send_telemetry`] from time to time and at the end.
///
/// # Errors
/// [`ConfigError`] when a variable of telemetry holds what it must not.
pub fn start_telemetry(
    environment: &Environment,
    service: &str,
    level: &str,
    format: LogFormat,
) -> Result<(), ConfigError> {
    start(environment, service, (level, format), Sending::InBackground).map(drop)
}

/// Whether telemetry is sent.
pub fn is_exporting() -> bool {
    EXPORTER.get().is_some()
}

/// Sends what there is. What cannot be sent is dropped and counted.
pub async fn send_telemetry(last: bool) {
    if let Some((exporter, _)) = EXPORTER.get() {
        exporter.flush(metrics::totals, BACKGROUND_LIMIT, last).await;
    }
}

/// Sends what there is where nothing runs between calls.
pub(crate) async fn send_after_call() {
    if let Some((exporter, Sending::AfterCall)) = EXPORTER.get() {
        exporter.flush(metrics::totals, CALL_LIMIT, false).await;
    }
}

fn start(
    environment: &Environment,
    service: &str,
    (level, format): (&str, LogFormat),
    sending: Sending,
) -> Result<bool, ConfigError> {
    let settings = OtlpSettings::read(|name| environment.optional(name), service)
        .map_err(|wrong| ConfigError::Invalid { name: wrong.name, expected: wrong.expected })?;
    let Some(settings) = settings else {
        init_logs(level, format);
        return Ok(false);
    };
    let (endpoint, is_moved) = (settings.endpoint.clone(), settings.is_moved);
    let transport = collector::transport(&endpoint);
    let exporter = Arc::new(Exporter::new(settings, &attributes(environment), transport, now_ns));
    begin(dispatch(level, format, format.writer(), Some(&exporter)));
    if is_moved {
        tracing::warn!(endpoint, "4317 is the port of gRPC; telemetry goes to {endpoint} instead, over HTTP");
    }
    Ok(EXPORTER.set((exporter, sending)).is_ok())
}

/// What tells this process from others.
fn attributes(environment: &Environment) -> Vec<(String, String)> {
    let own = [
        ("service.namespace", Some("evenstock".to_owned())),
        ("service.version", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("service.instance.id", Some(new_id())),
        ("deployment.environment.name", environment.optional("STAGE").map(str::to_owned)),
        ("faas.name", environment.optional("AWS_LAMBDA_FUNCTION_NAME").map(str::to_owned)),
        ("cloud.region", environment.optional("AWS_REGION").map(str::to_owned)),
    ];
    own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Nanoseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "spans need a finer clock than the one of use cases")]
fn now_ns() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default()
}

/// Who listens to what the process tells: its log, and the exporter if there is one. What the log leaves out by its
/// level is exported all the same.
pub(crate) fn dispatch(
    level: &str,
    format: LogFormat,
    writer: BoxMakeWriter,
    exporter: Option<&Arc<Exporter>>,
) -> Dispatch {
    // Not `EnvFilter`: its regular expressions are a twentieth of a program, and nobody filters by fields of spans.
    let filter: Targets = level.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let lines = fmt::layer().with_target(false).with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        // The list of spans holds the innermost one, too.
        LogFormat::Json => {
            let json = lines.json().flatten_event(true).with_current_span(false);
            json.without_time().with_ansi(false).with_filter(filter).boxed()
        }
        LogFormat::Text => lines.with_filter(filter).boxed(),
    };
    let log = tracing_subscriber::registry().with(lines);
    match exporter {
        None => Dispatch::new(log),
        Some(exporter) => {
            let spans = SpanLayer::new(Arc::clone(exporter)).with_filter(filter_fn(SpanLayer::wants));
            Dispatch::new(log.with(spans))
        }
    }
}

fn begin(dispatch: Dispatch) {
    if tracing::dispatcher::set_global_default(dispatch).is_err() {
        tracing::debug!("logging was started before");
    }
}

#[cfg(test)]
mod tests;
