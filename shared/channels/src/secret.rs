//! Secrets as values that cannot be empty and cannot be printed. Where they come from is not this crate's concern.

use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;

/// Why a text cannot be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// There is none.
    #[error("must not be empty")]
    Empty,
    /// It cannot stand in a header; often a line break that was copied with it.
    #[error("must be visible ASCII characters without spaces")]
    NotAToken,
}

/// The key that a marketplace signs its deliveries with. Not comparable, so that nobody compares it in variable time.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes a secret: the bytes as they are.
    ///
    /// # Errors
    /// [`InvalidSecret::Empty`] when there are none: everybody can sign with an empty key.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, InvalidSecret> {
        let bytes = bytes.into();
        if bytes.is_empty() { Err(InvalidSecret::Empty) } else { Ok(Self(bytes)) }
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// The key that we show to a marketplace when we ask it: a bearer token, or a user and a password.
#[derive(Clone)]
pub struct ApiSecret(HeaderValue);

impl ApiSecret {
    /// Takes a bearer token.
    ///
    /// # Errors
    /// [`InvalidSecret`] when it is empty or has other characters than visible ASCII.
    pub fn new(key: &str) -> Result<Self, InvalidSecret> {
        if key.is_empty() {
            return Err(InvalidSecret::Empty);
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidSecret::NotAToken);
        }
        let header = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| InvalidSecret::NotAToken)?;
        Ok(Self::sensitive(header))
    }

    /// Takes `user:password`, whatever characters they have.
    pub(crate) fn basic(credentials: &str) -> Self {
        let header = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(credentials)));
        // Base64 can always stand in a header.
        Self::sensitive(header.unwrap_or_else(|_| HeaderValue::from_static("Basic")))
    }

    fn sensitive(mut header: HeaderValue) -> Self {
        header.set_sensitive(true);
        Self(header)
    }

    /// The value of an `Authorization` header.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for ApiSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiSecret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug() {
        let shown = format!("{:?} {:?}", Secret::new("hidden").unwrap(), ApiSecret::new("hidden").unwrap());
        assert_eq!(shown, "Secret(redacted) ApiSecret(redacted)");
        assert!(!format!("{:?}", ApiSecret::new("hidden").unwrap().header()).contains("hidden"));
    }

    #[test]
    fn empty_secret_is_refused() {
        assert_eq!(Secret::new("").unwrap_err(), InvalidSecret::Empty);
        assert_eq!(ApiSecret::new("").unwrap_err(), InvalidSecret::Empty);
    }

    #[rstest]
    #[case::line_break("key\n")]
    #[case::space("two words")]
    #[case::header_injection("key\r\nX-Other: 1")]
    #[case::not_ascii("schlüssel")]
    fn key_that_cannot_stand_in_a_header_is_refused(#[case] key: &str) {
        assert_eq!(ApiSecret::new(key).unwrap_err(), InvalidSecret::NotAToken);
    }
}
