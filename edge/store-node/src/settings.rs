//! What the command line and the environment say, checked once. Errors name the variable and never show a key.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser};
use evenstock_domain::LocationId;
use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::api::ClientKey;
use crate::telemetry::OtlpOptions;

/// The shop's own copy of the stock: reads work while the centre is away, and writes wait for it.
#[derive(Parser)]
#[command(name = "evenstock-store-node", version)]
pub(crate) struct Options {
    /// Base URL of the centre.
    #[arg(long, env = "CENTRAL_URL", default_value = "http://127.0.0.1:8080")]
    central_url: String,
    /// Key for the centre, with the scopes read and write.
    #[arg(long, env = "API_KEY", default_value = "demo", hide_env_values = true)]
    api_key: String,
    /// The location that this node stands for.
    #[arg(long, env = "STORE_ID", default_value = "store-7")]
    store_id: String,
    /// Port to listen on; 0 picks a free one.
    #[arg(long, env = "PORT", default_value_t = 8081)]
    port: u16,
    /// Address to listen on.
    #[arg(long, env = "BIND", default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Folder that keeps the copy and the queue.
    #[arg(long, env = "DATA_DIR", default_value = ".evenstock-node")]
    data_dir: PathBuf,
    /// Keep writes while the centre is away, instead of refusing them.
    #[arg(long, env = "QUEUE_WRITES", default_value = "true", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    queue_writes: bool,
    /// Send writes that had to wait without their version: it is out of date by then.
    #[arg(long, env = "QUEUE_VERSIONLESS", default_value = "true", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    queue_versionless: bool,
    /// Writes that may wait at once.
    #[arg(long, env = "QUEUE_LIMIT", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    queue_limit: u32,
    /// Key that this node's own clients must send; unset: none.
    #[arg(long, env = "STORE_API_KEY", hide_env_values = true)]
    store_api_key: Option<String>,
    /// `error`, `warn`, `info`, `debug`, `trace` or a filter.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub(crate) log_level: String,
    #[command(flatten)]
    pub(crate) otlp: OtlpOptions,
    /// Throw the copy away and fetch it anew, keep the queued writes, and take the centre for the right one.
    #[arg(long)]
    rebuild: bool,
}

/// How writes are treated that cannot be handed on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueSettings {
    /// Keep them, or refuse them.
    pub(crate) writes: bool,
    /// Leave their version out.
    pub(crate) versionless: bool,
    /// Writes that may wait at once.
    pub(crate) limit: u32,
}

/// Everything that a node is told.
pub(crate) struct Settings {
    pub(crate) centre: Url,
    pub(crate) api_key: HeaderValue,
    pub(crate) store: LocationId,
    pub(crate) address: SocketAddr,
    pub(crate) data: PathBuf,
    pub(crate) queue: QueueSettings,
    pub(crate) clients: Option<ClientKey>,
    pub(crate) rebuild: bool,
}

/// What is wrong with the settings, all of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub(crate) struct SettingsError(Vec<String>);

impl Options {
    /// Checks the values.
    pub(crate) fn read(self) -> Result<Settings, SettingsError> {
        let mut issues = Vec::new();
        let mut note = |issue: String| issues.push(issue);
        let centre = base_url(&self.central_url).map_err(|issue| note(format!("CENTRAL_URL {issue}"))).ok();
        let api_key = key_header(&self.api_key).map_err(|issue| note(format!("API_KEY {issue}"))).ok();
        let store = LocationId::parse(&self.store_id).map_err(|issue| note(format!("STORE_ID {issue}"))).ok();
        let clients = self.store_api_key.filter(|key| !key.is_empty());
        if let Some(Err(issue)) = clients.as_deref().map(key_header) {
            note(format!("STORE_API_KEY {issue}"));
        }
        let (Some(centre), Some(api_key), Some(store), true) = (centre, api_key, store, issues.is_empty()) else {
            return Err(SettingsError(issues));
        };
        Ok(Settings {
            centre,
            api_key,
            store,
            address: SocketAddr::new(self.bind, self.port),
            data: self.data_dir,
            queue: QueueSettings {
                writes: self.queue_writes,
                versionless: self.queue_versionless,
                limit: self.queue_limit,
            },
            clients: clients.map(|key| ClientKey::new(&key)),
            rebuild: self.rebuild,
        })
    }
}

fn base_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "must be an absolute http or https URL")?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("must be an absolute http or https URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or a password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not contain a query or a fragment");
    }
    Ok(url)
}

fn key_header(key: &str) -> Result<HeaderValue, &'static str> {
    let usable = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    let mut value = usable.then(|| HeaderValue::from_str(key).ok()).flatten().ok_or("must be visible ASCII")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Settings, SettingsError> {
        Options::try_parse_from([&["evenstock-store-node"], arguments].concat()).unwrap().read()
    }

    #[test]
    fn every_wrong_value_is_named_and_no_key_is_shown() {
        let wrong =
            ["--central-url", "ftp://x", "--api-key", "hunter 2", "--store-id", " x", "--store-api-key", "hunter\t2"];
        let error = read(&wrong).err().unwrap().to_string();
        for name in ["CENTRAL_URL", "API_KEY", "STORE_ID", "STORE_API_KEY"] {
            assert!(error.contains(name), "{error}");
        }
        assert!(!error.contains("hunter"), "{error}");
        for url in ["", "centre", "http://", "http://u:p@centre", "http://centre/?x=1", "http://centre/#x"] {
            assert!(read(&["--central-url", url]).is_err(), "{url}");
        }
    }

    #[test]
    fn numbers_and_switches_are_checked_by_the_command_line() {
        for wrong in [["--port", "70000"], ["--queue-limit", "0"], ["--queue-writes", "maybe"], ["--bind", "here"]] {
            assert!(Options::try_parse_from([&["evenstock-store-node"], &wrong[..]].concat()).is_err(), "{wrong:?}");
        }
        let settings = read(&["--queue-writes", "no", "--queue-versionless", "0", "--queue-limit", "5"]).unwrap();
        assert!(!settings.queue.writes && !settings.queue.versionless);
        assert_eq!(settings.queue.limit, 5);
    }
}
