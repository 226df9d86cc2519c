//! Keys that are given as a text: one or several, the last of which seals.

use evenstock_app::{SealError, Sealed, Sealer, SecretText};
use zeroize::Zeroizing;

use super::cipher::{DataKey, Envelope, KEY_BYTES, KeyId, NONCE_BYTES, Nonces};

/// The keys that open, and the one among them that seals.
#[derive(Debug, Clone)]
pub struct Keyring {
    current: DataKey,
    /// All keys but the current one.
    others: Vec<DataKey>,
}

/// Why a text is no keyring. Never shows the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyring {
    /// There is no key.
    #[error("holds no key")]
    Empty,
    /// A part of it is no key.
    #[error("part {0} is not an id, a colon and 64 hexadecimal digits")]
    Key(usize),
    /// Two keys have one id.
    #[error("part {0} has the id of a part before it")]
    Repeated(usize),
}

impl Keyring {
    /// Reads keys as `id:64 hexadecimal digits`, separated by line breaks or commas. The last one seals; to rotate, add
    /// a line, and keep the others for as long as something is sealed with them.
    ///
    /// # Errors
    /// [`InvalidKeyring`] names the part that is wrong, counted from 1.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyring> {
        let mut keys: Vec<DataKey> = Vec::new();
        let parts = text.split(['\n', ',']).map(str::trim).filter(|part| !part.is_empty());
        for (place, part) in (1..).zip(parts) {
            let key = key(part).ok_or(InvalidKeyring::Key(place))?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(InvalidKeyring::Repeated(place));
            }
            keys.push(key);
        }
        let current = keys.pop().ok_or(InvalidKeyring::Empty)?;
        Ok(Self { current, others: keys })
    }

    /// Seals a secret with the current key. A nonce must not be used twice.
    ///
    /// # Errors
    /// [`SealError::Refused`] for a secret beyond the cipher's limit.
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], context: &str, secret: &str) -> Result<Sealed, SealError> {
        self.current.seal(nonce, context, secret)
    }

    /// Opens what any of the keys has sealed.
    ///
    /// # Errors
    /// [`SealError`] when the text is none of ours, or its key is not among these, or it does not open.
    pub fn open(&self, context: &str, sealed: &Sealed) -> Result<SecretText, SealError> {
        let envelope = Envelope::parse(sealed)?;
        let mut keys = self.others.iter().chain([&self.current]);
        match keys.find(|key| key.id == envelope.key_id) {
            Some(key) => key.open(context, &envelope),
            None => Err(envelope.unknown_key()),
        }
    }
}

fn key(part: &str) -> Option<DataKey> {
    let (id, digits) = part.split_once(':')?;
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    hex::decode_to_slice(digits, bytes.as_mut_slice()).ok()?;
    DataKey::new(KeyId::parse(id).ok()?, bytes.as_slice())
}

/// Seals with a keyring.
#[derive(Debug, Clone)]
pub struct KeyringSealer {
    keyring: Keyring,
    nonces: Nonces,
}

impl KeyringSealer {
    /// A sealer that takes its nonces from `nonces`.
    pub fn new(keyring: Keyring, nonces: Nonces) -> Self {
        Self { keyring, nonces }
    }
}

impl Sealer for KeyringSealer {
    async fn seal(&self, context: &str, secret: &str) -> Result<Sealed, SealError> {
        self.keyring.seal(nonce(self.nonces)?, context, secret)
    }

    async fn open(&self, context: &str, sealed: &Sealed) -> Result<SecretText, SealError> {
        self.keyring.open(context, sealed)
    }
}

pub(super) fn nonce(nonces: Nonces) -> Result<[u8; NONCE_BYTES], SealError> {
    nonces().ok_or_else(|| SealError::Unavailable("the system gives no randomness".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, digit: &str) -> String {
        format!("{id}:{}", digit.repeat(64))
    }

    #[test]
    fn old_keys_open_and_the_last_one_seals() {
        let before = Keyring::parse(&line("2025", "a")).unwrap();
        let rotated = Keyring::parse(&format!("{}\n{}\n", line("2025", "a"), line("2026", "b"))).unwrap();
        let old = before.seal([1; NONCE_BYTES], "here", "hunter2").unwrap();
        assert_eq!(rotated.open("here", &old).unwrap().expose(), "hunter2");
        let new = rotated.seal([2; NONCE_BYTES], "here", "hunter2").unwrap();
        assert!(new.as_str().starts_with("1.2026."), "{}", new.as_str());
        let error = before.open("here", &new).unwrap_err();
        assert_eq!(error.to_string(), "a secret was sealed with the key 2026, which is not known");
        let only_new = Keyring::parse(&line("2026", "b")).unwrap();
        assert_eq!(only_new.open("here", &new).unwrap().expose(), "hunter2");
    }

    #[test]
    fn another_key_under_the_same_id_does_not_open() {
        let sealed = Keyring::parse(&line("k", "a")).unwrap().seal([1; NONCE_BYTES], "here", "hunter2").unwrap();
        let error = Keyring::parse(&line("k", "b")).unwrap().open("here", &sealed).unwrap_err();
        assert!(matches!(error, SealError::Tampered { key_id } if key_id == "k"));
    }

    #[test]
    fn what_is_no_keyring_is_named_and_not_shown() {
        let wrong = |text: &str| Keyring::parse(text).unwrap_err();
        assert_eq!(wrong(" \n,"), InvalidKeyring::Empty);
        for text in [&line("a.b", "0"), &line("k", "g"), &line("k", "00"), &line("k", "")[..], "hunter2", ":"] {
            assert_eq!(wrong(text), InvalidKeyring::Key(1), "{text}");
            assert!(!wrong(text).to_string().contains("hunter2"));
        }
        assert_eq!(wrong(&format!("{},{}", line("k", "0"), line("k", "1"))), InvalidKeyring::Repeated(2));
    }

    #[test]
    fn no_key_shows_in_debug() {
        let sealer = KeyringSealer::new(Keyring::parse(&line("k", "a")).unwrap(), || None);
        assert!(!format!("{sealer:?}").contains("aaaa") && format!("{sealer:?}").contains("redacted"));
    }
}
