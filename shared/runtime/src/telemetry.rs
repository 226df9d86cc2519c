//! Logs: JSON lines in Lambda, readable lines on a laptop. Ids yes, bodies and secrets never.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line on stdout, without the time that CloudWatch adds.
    Json,
    /// Text on stderr, for people.
    Text,
}

/// Starts logging at `level` (`error`, `warn`, `info`, `debug`, `trace`, or a filter such as `evenstock=debug`). A level
/// that cannot be read becomes `info`. A second call changes nothing.
pub fn init_logs(level: &str, format: LogFormat) {
    // Not `EnvFilter`: its regular expressions are a twentieth of a program, and nobody filters by fields of spans.
    let filter = level.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let (logs, lines) = (registry().with(filter), fmt::layer().with_target(false));
    let started = match format {
        LogFormat::Json => logs.with(lines.json().flatten_event(true).without_time().with_ansi(false)).try_init(),
        LogFormat::Text => logs.with(lines.with_writer(std::io::stderr)).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
