//! Logs: JSON lines in Lambda, readable lines on a laptop. Ids yes, bodies and secrets never.

use tracing_subscriber::EnvFilter;

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
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    let started = match format {
        LogFormat::Json => builder.json().flatten_event(true).without_time().with_ansi(false).try_init(),
        LogFormat::Text => builder.with_writer(std::io::stderr).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
