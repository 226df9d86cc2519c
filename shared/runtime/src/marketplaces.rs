//! Where the environment says that marketplaces are, and as whom they are asked there.

use evenstock_app::SecretText;

use crate::{ConfigError, Environment};

/// Each marketplace that is played in development, with the variables of its credentials.
const MOCKED: [(&str, &str, &str); 3] = [
    ("etsy", "MOCK_ETSY_USER", "MOCK_ETSY_PASS"),
    ("shopify", "MOCK_SHOPIFY_USER", "MOCK_SHOPIFY_PASS"),
    ("amazon", "MOCK_AMAZON_USER", "MOCK_AMAZON_PASS"),
];

impl Environment {
    /// The marketplaces that are played in development, with `user:password` each: `MOCK_ETSY_USER`, `MOCK_ETSY_PASS` and
    /// so on, `etsy_user` and `etsy_pass` unless set.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a user name with a colon, which Basic authentication cannot carry.
    pub fn mock_credentials(&self) -> Result<Vec<(&'static str, SecretText)>, ConfigError> {
        let credentials = |(marketplace, user_name, password_name)| {
            let or_default =
                |name, kind| self.optional(name).map_or_else(|| format!("{marketplace}_{kind}"), str::to_owned);
            let (user, password) = (or_default(user_name, "user"), or_default(password_name, "pass"));
            if user.contains(':') {
                return Err(ConfigError::Invalid { name: user_name, expected: "a name without a colon" });
            }
            Ok((marketplace, SecretText::new(format!("{user}:{password}"))))
        };
        MOCKED.into_iter().map(credentials).collect()
    }

    /// What is shown to the marketplaces at `MARKETPLACE_BASE_URL` instead of a store's token: the mock's credentials, and
    /// nothing when `STAGE` is `prod`, which has no mock.
    ///
    /// # Errors
    /// [`ConfigError`] like [`Environment::mock_credentials`].
    pub fn marketplace_credentials(&self) -> Result<Vec<(&'static str, SecretText)>, ConfigError> {
        if self.optional("STAGE") == Some("prod") { Ok(Vec::new()) } else { self.mock_credentials() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().copied().collect()
    }

    #[test]
    fn credentials_are_those_of_the_environment_or_the_well_known_ones() {
        let environment = of(&[("MOCK_SHOPIFY_USER", "ann"), ("MOCK_SHOPIFY_PASS", "a:b"), ("MOCK_AMAZON_PASS", "c")]);
        let credentials = environment.mock_credentials().unwrap();
        let shown: Vec<_> = credentials.iter().map(|(name, secret)| (*name, secret.expose())).collect();
        assert_eq!(shown, [("etsy", "etsy_user:etsy_pass"), ("shopify", "ann:a:b"), ("amazon", "amazon_user:c")]);
        assert_eq!(environment.marketplace_credentials().unwrap().len(), 3);
        let error = of(&[("MOCK_ETSY_USER", "a:b")]).mock_credentials().unwrap_err().to_string();
        assert_eq!(error, "environment variable MOCK_ETSY_USER must be a name without a colon");
    }

    #[test]
    fn production_shows_each_stores_own_token() {
        assert!(of(&[("STAGE", "prod")]).marketplace_credentials().unwrap().is_empty());
    }
}
