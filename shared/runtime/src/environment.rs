//! Environment variables, read once at start. An error names the variable and never shows its value.

use std::collections::BTreeMap;
use std::str::FromStr;

use evenstock_domain::{EventIdKey, OrganizationId};
use evenstock_store::AwsSettings;

/// The fewest bytes that an event id key may have.
const EVENT_ID_KEY_BYTES_MIN: usize = 16;

/// The fewest days of history: idempotency keys are remembered for 30 and dead letters for 14, and what comes back under
/// either must still be recognized.
const HISTORY_DAYS_MIN: u32 = 31;

/// The fewest hours that the change feed is kept: as long as the table's stream may bring a change again.
const FEED_RETENTION_HOURS_MIN: u32 = 24;

/// A variable that is missing or holds what it must not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is not set, or empty.
    #[error("environment variable {0} is not set")]
    Missing(&'static str),
    /// Its value is of the wrong kind.
    #[error("environment variable {name} must be {expected}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
}

/// The environment of a process, as plain values.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// Shows names only: values may be secrets.
impl core::fmt::Debug for Environment {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Environment {
    /// The environment of this process. Variables that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        std::env::vars_os().filter_map(utf8).collect()
    }

    /// This environment with `defaults` for what it does not set.
    #[must_use]
    pub fn with_defaults(mut self, defaults: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        for (name, value) in defaults {
            self.0.entry(name.to_owned()).or_insert(value);
        }
        self
    }

    /// A variable, `None` when it is unset or empty.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A variable that must be set.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] when it is unset or empty.
    pub fn required(&self, name: &'static str) -> Result<&str, ConfigError> {
        self.optional(name).ok_or(ConfigError::Missing(name))
    }

    /// A variable of another type than text, with a default.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when its value is not of that type.
    pub fn parsed<T: FromStr>(&self, name: &'static str, expected: &'static str, default: T) -> Result<T, ConfigError> {
        match self.optional(name) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| ConfigError::Invalid { name, expected }),
        }
    }

    /// Where and as whom AWS is called, from the variables that Lambda sets. `AWS_ENDPOINT_URL` names an emulator.
    ///
    /// # Errors
    /// [`ConfigError`] when a variable is missing.
    pub fn aws(&self) -> Result<AwsSettings, ConfigError> {
        Ok(AwsSettings {
            region: self.required("AWS_REGION")?.to_owned(),
            endpoint_url: self.optional("AWS_ENDPOINT_URL").map(str::to_owned),
            access_key_id: self.required("AWS_ACCESS_KEY_ID")?.to_owned(),
            secret_access_key: self.required("AWS_SECRET_ACCESS_KEY")?.to_owned(),
            session_token: self.optional("AWS_SESSION_TOKEN").map(str::to_owned),
        })
    }

    /// The key of event ids, `EVENT_ID_KEY`: at least 16 bytes.
    ///
    /// # Errors
    /// [`ConfigError`] when it is missing or too short.
    pub fn event_id_key(&self) -> Result<EventIdKey, ConfigError> {
        let name = "EVENT_ID_KEY";
        let key = self.required(name)?;
        if key.len() < EVENT_ID_KEY_BYTES_MIN {
            return Err(ConfigError::Invalid { name, expected: "at least 16 bytes long" });
        }
        Ok(EventIdKey::new(key))
    }

    /// The organization of the marketplaces that the environment names, `DEFAULT_ORGANIZATION`: `demo` unless set.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when it is no name.
    pub fn default_organization(&self) -> Result<OrganizationId, ConfigError> {
        let name = "DEFAULT_ORGANIZATION";
        OrganizationId::parse(self.optional(name).unwrap_or("demo"))
            .map_err(|_| ConfigError::Invalid { name, expected: "a name of at most 128 bytes" })
    }

    /// The organization whose changes a central system is told, `CENTRAL_INVENTORY_ORGANIZATION`: `DEFAULT_ORGANIZATION`
    /// unless set.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when it is no name.
    pub fn central_organization(&self) -> Result<OrganizationId, ConfigError> {
        let name = "CENTRAL_INVENTORY_ORGANIZATION";
        match self.optional(name) {
            None => self.default_organization(),
            Some(text) => OrganizationId::parse(text)
                .map_err(|_| ConfigError::Invalid { name, expected: "a name of at most 128 bytes" }),
        }
    }

    /// How long journal pages are kept, `HISTORY_DAYS`: 400 days unless set, never under 31.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when it is no number or too small.
    pub fn history_days(&self) -> Result<u32, ConfigError> {
        let (name, expected) = ("HISTORY_DAYS", "a whole number of days, at least 31");
        let days = self.parsed(name, expected, 400)?;
        if days < HISTORY_DAYS_MIN { Err(ConfigError::Invalid { name, expected }) } else { Ok(days) }
    }

    /// How long readers are given the changes of the feed, `FEED_RETENTION_HOURS`: 168 hours unless set, never under 24.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when it is no number or too small.
    pub fn feed_retention_hours(&self) -> Result<u32, ConfigError> {
        let (name, expected) = ("FEED_RETENTION_HOURS", "a whole number of hours, at least 24");
        let hours = self.parsed(name, expected, 168)?;
        if hours < FEED_RETENTION_HOURS_MIN { Err(ConfigError::Invalid { name, expected }) } else { Ok(hours) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_variable_and_never_its_value() {
        let environment: Environment =
            [("HISTORY_DAYS", "hunter2"), ("EVENT_ID_KEY", "hunter2"), ("EMPTY", "")].into_iter().collect();
        for error in [
            environment.history_days().unwrap_err().to_string(),
            environment.event_id_key().unwrap_err().to_string(),
            format!("{environment:?}"),
        ] {
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert_eq!(environment.required("EMPTY"), Err(ConfigError::Missing("EMPTY")));
    }

    #[test]
    fn history_shorter_than_a_key_lives_is_refused_at_start() {
        let days = |days: &str| [("HISTORY_DAYS", days)].into_iter().collect::<Environment>().history_days();
        assert!(days("30").is_err());
        assert_eq!(days("31"), Ok(31));
        assert_eq!(Environment::default().history_days(), Ok(400));
    }
}
