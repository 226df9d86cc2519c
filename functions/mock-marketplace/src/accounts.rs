//! Which marketplaces are played, and who may ask each of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evenstock_app::SecretText;
use evenstock_runtime::{ConfigError, Environment};
use subtle::ConstantTimeEq;

/// The marketplaces and their credentials.
#[derive(Debug, Clone)]
pub struct Accounts(Vec<Account>);

/// A marketplace and who may ask it.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) marketplace: &'static str,
    /// User and password with a colon between.
    credentials: SecretText,
}

impl Accounts {
    /// The marketplaces that the environment's credentials are for.
    ///
    /// # Errors
    /// [`ConfigError`] like [`Environment::mock_credentials`].
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        let credentials = environment.mock_credentials()?.into_iter();
        Ok(Self(credentials.map(|(marketplace, credentials)| Account { marketplace, credentials }).collect()))
    }

    pub(crate) fn of(&self, marketplace: &str) -> Option<&Account> {
        self.0.iter().find(|account| account.marketplace == marketplace)
    }
}

impl Account {
    /// Whether an `Authorization` header carries these credentials. Takes as long for one wrong character as for another.
    pub(crate) fn admits(&self, authorization: Option<&str>) -> bool {
        let given = authorization.and_then(|header| {
            let (scheme, token) = header.split_once(' ')?;
            scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(token.trim()).ok())?
        });
        given.is_some_and(|given| bool::from(given.ct_eq(self.credentials.expose().as_bytes())))
    }
}
