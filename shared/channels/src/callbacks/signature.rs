//! The signature of callbacks, as the Standard Webhooks specification has it (version v1): how it is made, and how a
//! receiver checks it.

use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evenstock_domain::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// What the signature of this version begins with.
const VERSION: &str = "v1";

/// How far a receiver lets the time of sending be from its own, in seconds.
pub const TOLERANCE_SECONDS: i64 = 5 * 60;

/// The key that signs.
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

/// A text that is no signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be whsec_ and base64")]
pub struct InvalidSigningKey;

/// The headers of a callback as they were received.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReceivedHeaders<'a> {
    /// `webhook-id`.
    pub id: Option<&'a str>,
    /// `webhook-timestamp`.
    pub timestamp: Option<&'a str>,
    /// `webhook-signature`.
    pub signature: Option<&'a str>,
}

/// Why a callback is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCallback {
    /// A header is missing.
    #[error("a header is missing")]
    HeaderMissing,
    /// The time of sending is no number.
    #[error("the time of sending cannot be read")]
    Timestamp,
    /// It was sent too long ago, or will be sent.
    #[error("it was not sent just now")]
    NotNow,
    /// No signature is ours.
    #[error("no signature matches")]
    Signature,
}

impl SigningKey {
    /// The secret of these bytes, as its owner is shown it.
    pub fn text_of(bytes: &[u8]) -> String {
        format!("{PREFIX}{}", STANDARD.encode(bytes))
    }

    /// Reads a secret, with or without `whsec_`.
    ///
    /// # Errors
    /// [`InvalidSigningKey`] when it is empty or not base64: everybody can sign with an empty key.
    pub fn parse(secret: &str) -> Result<Self, InvalidSigningKey> {
        let encoded = secret.strip_prefix(PREFIX).unwrap_or(secret);
        let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSigningKey)?;
        if bytes.is_empty() { Err(InvalidSigningKey) } else { Ok(Self(bytes)) }
    }

    /// The signature of a body that is sent under this id at this time (Unix seconds): `v1,` and base64.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mac = self.mac(id, &timestamp.to_string(), body).map(|mac| mac.finalize().into_bytes());
        format!("{VERSION},{}", mac.map(|bytes| STANDARD.encode(bytes)).unwrap_or_default())
    }

    /// Checks a callback as its receiver does: any of several signatures may be the right one, unknown versions are
    /// skipped.
    ///
    /// # Errors
    /// [`InvalidCallback`].
    pub fn verify(&self, headers: ReceivedHeaders<'_>, body: &[u8], now: Timestamp) -> Result<(), InvalidCallback> {
        let (Some(id), Some(timestamp), Some(signatures)) = (headers.id, headers.timestamp, headers.signature) else {
            return Err(InvalidCallback::HeaderMissing);
        };
        let sent: i64 = timestamp.parse().map_err(|_| InvalidCallback::Timestamp)?;
        let age = now.as_millis().div_euclid(1000).checked_sub(sent).ok_or(InvalidCallback::Timestamp)?;
        if !(-TOLERANCE_SECONDS..=TOLERANCE_SECONDS).contains(&age) {
            return Err(InvalidCallback::NotNow);
        }
        let of_version = signatures.split(' ').filter_map(|signature| signature.split_once(','));
        let ours = of_version.filter(|(version, _)| *version == VERSION).any(|(_, signature)| {
            let mac = self.mac(id, timestamp, body).zip(STANDARD.decode(signature).ok());
            mac.is_some_and(|(mac, bytes)| mac.verify_slice(&bytes).is_ok())
        });
        if ours { Ok(()) } else { Err(InvalidCallback::Signature) }
    }

    /// HMAC takes keys of any length, so there always is one.
    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        Some(mac)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}
