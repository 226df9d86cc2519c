//! The port that keeps secrets unreadable at rest, and secrets as values that cannot be printed.
//!
//! Must not know how a secret is sealed, nor where the keys come from.

use core::fmt;
use std::error::Error;

use zeroize::Zeroizing;

type Cause = Box<dyn Error + Send + Sync>;

/// A secret in memory. Shows nothing in `Debug`, has no `Display`, and is wiped when it is dropped. Not comparable, so
/// that nobody compares it in variable time.
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself, to be shown to nobody but whom it is for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(redacted)")
    }
}

/// A sealed secret as it is stored. Safe to keep; of no use without the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(String);

impl Sealed {
    /// Takes what was stored. Whether it can be opened shows when it is.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Logs are no place for what is sealed, either.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(redacted)")
    }
}

/// Why a secret could not be sealed or opened. Names keys by their ids; never shows a key or a secret.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The keys or the randomness cannot be had now; a later try may succeed.
    #[error("the key that seals secrets cannot be had now")]
    Unavailable(#[source] Cause),
    /// The keys cannot be had as things stand (access denied, key deleted or disabled).
    #[error("the key that seals secrets is refused")]
    Refused(#[source] Cause),
    /// The secret was sealed with a key that is not known here.
    #[error("a secret was sealed with the key {key_id}, which is not known")]
    UnknownKey {
        /// The key's id.
        key_id: String,
    },
    /// The sealed text was changed, or belongs to another item, or its key is another one under the same id.
    #[error("a secret sealed with the key {key_id} does not open")]
    Tampered {
        /// The key's id.
        key_id: String,
    },
    /// The text was never a sealed secret.
    #[error("a stored text is no sealed secret")]
    Malformed,
}

impl SealError {
    /// Whether a later try may succeed.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Seals secrets for storing and opens them again.
///
/// `context` names the item and the purpose, such as `store/demo/42/access-token`. It is bound to the sealed text: in
/// another place the same text does not open.
pub trait Sealer: Send + Sync {
    /// Seals a secret under the current key.
    fn seal(&self, context: &str, secret: &str) -> impl Future<Output = Result<Sealed, SealError>> + Send;

    /// Opens what was sealed under the same context, with whatever key that was.
    fn open(&self, context: &str, sealed: &Sealed) -> impl Future<Output = Result<SecretText, SealError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug() {
        let shown = format!("{:?} {:?}", SecretText::new("hidden"), Sealed::from_stored("hidden"));
        assert_eq!(shown, "SecretText(redacted) Sealed(redacted)");
        assert_eq!(SecretText::new("hidden").expose(), "hidden");
    }
}
