//! One key and what it does: AES-256-GCM, by the library that TLS brings along anyway.
//!
//! Pure: the nonce comes in. Must not know where keys are kept.

use core::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evenstock_app::{SealError, Sealed, SecretText};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;

/// A source of nonces, each unpredictable and never given twice; `None` when the system has no randomness to give.
pub type Nonces = fn() -> Option<[u8; NONCE_BYTES]>;

/// The greatest length of a key's id, in bytes.
const KEY_ID_BYTES_MAX: usize = 64;

/// The layout of what this code seals.
const VERSION: &str = "1";

/// The public name of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

/// A text that cannot name a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 letters, digits, - or _")]
pub struct InvalidKeyId;

impl KeyId {
    /// Checks a key's id.
    ///
    /// # Errors
    /// [`InvalidKeyId`] when it is empty, too long, or has other characters than letters, digits, `-` and `_`.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyId> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let fits = !text.is_empty() && text.len() <= KEY_ID_BYTES_MAX && text.bytes().all(known);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidKeyId) }
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A key that seals and opens.
#[derive(Clone)]
pub(super) struct DataKey {
    pub(super) id: KeyId,
    cipher: Arc<LessSafeKey>,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({}, redacted)", self.id.as_str())
    }
}

impl DataKey {
    /// `None` when there are not exactly 32 bytes.
    pub(super) fn new(id: KeyId, bytes: &[u8]) -> Option<Self> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).ok()?;
        Some(Self { id, cipher: Arc::new(LessSafeKey::new(key)) })
    }

    pub(super) fn seal(&self, nonce: [u8; NONCE_BYTES], context: &str, secret: &str) -> Result<Sealed, SealError> {
        let header = header(self.id.as_str());
        let body = encrypt(&self.cipher, nonce, &associated(&header, context), secret.as_bytes());
        let body = body.ok_or_else(|| SealError::Refused("the cipher refuses the secret".into()))?;
        Ok(Sealed::from_stored(header + &URL_SAFE_NO_PAD.encode([&nonce[..], &body].concat())))
    }

    pub(super) fn open(&self, context: &str, envelope: &Envelope<'_>) -> Result<SecretText, SealError> {
        let secret = || {
            let bytes = URL_SAFE_NO_PAD.decode(envelope.body).ok()?;
            let (nonce, body) = bytes.split_first_chunk()?;
            let secret = decrypt(&self.cipher, *nonce, &associated(&header(self.id.as_str()), context), body)?;
            Some(SecretText::new(str::from_utf8(&secret).ok()?))
        };
        secret().ok_or_else(|| SealError::Tampered { key_id: self.id.as_str().to_owned() })
    }
}

/// A sealed text, taken apart.
pub(super) struct Envelope<'a> {
    pub(super) key_id: KeyId,
    body: &'a str,
}

impl<'a> Envelope<'a> {
    pub(super) fn parse(sealed: &'a Sealed) -> Result<Self, SealError> {
        let rest = sealed.as_str().strip_prefix(VERSION).and_then(|rest| rest.strip_prefix('.'));
        let (key_id, body) = rest.and_then(|rest| rest.split_once('.')).ok_or(SealError::Malformed)?;
        let key_id = KeyId::parse(key_id).map_err(|_| SealError::Malformed)?;
        Ok(Self { key_id, body })
    }

    /// The error of whoever does not know the key.
    pub(super) fn unknown_key(self) -> SealError {
        SealError::UnknownKey { key_id: self.key_id.0 }
    }
}

fn header(key_id: &str) -> String {
    format!("{VERSION}.{key_id}.")
}

/// The header cannot contain the separator, so two pairs never give one text.
fn associated(header: &str, context: &str) -> Vec<u8> {
    [header.as_bytes(), b"\0", context.as_bytes()].concat()
}

/// Ciphertext and tag; `None` for a text beyond the cipher's 64 GB.
fn encrypt(key: &LessSafeKey, nonce: [u8; NONCE_BYTES], associated: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let mut bytes = text.to_vec();
    key.seal_in_place_append_tag(nonce, Aad::from(associated), &mut bytes).ok()?;
    Some(bytes)
}

/// The text; `None` when tag and associated data do not fit the ciphertext.
fn decrypt(key: &LessSafeKey, nonce: [u8; NONCE_BYTES], associated: &[u8], body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let mut bytes = Zeroizing::new(body.to_vec());
    let length = key.open_in_place(nonce, Aad::from(associated), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    /// Test case 16 of "The Galois/Counter Mode of Operation" (2005): AES-256 with associated data.
    #[test]
    fn cipher_is_aes_256_gcm_as_published() {
        let key: [u8; 32] = bytes("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
        let nonce = bytes("cafebabefacedbaddecaf888");
        let associated = hex::decode("feedfacedeadbeeffeedfacedeadbeefabaddad2").unwrap();
        let text = hex::decode(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        )
        .unwrap();
        let expected = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662\
                        76fc6ece0f4e1768cddf8853bb2d551b";
        let key = DataKey::new(KeyId::parse("k").unwrap(), &key).unwrap();
        let body = encrypt(&key.cipher, nonce, &associated, &text).unwrap();
        assert_eq!(hex::encode(&body), expected);
        assert_eq!(decrypt(&key.cipher, nonce, &associated, &body).unwrap().as_slice(), text);
    }

    #[test]
    fn every_bit_of_a_sealed_text_counts() {
        let key = DataKey::new(KeyId::parse("k").unwrap(), &[7; KEY_BYTES]).unwrap();
        let sealed = key.seal([9; NONCE_BYTES], "here", "hunter2").unwrap();
        let body = sealed.as_str().strip_prefix("1.k.").unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(body).unwrap();
        assert_eq!(bytes.len(), NONCE_BYTES + "hunter2".len() + 16);
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let changed = Sealed::from_stored(format!("1.k.{}", URL_SAFE_NO_PAD.encode(changed)));
            let opened = key.open("here", &Envelope::parse(&changed).unwrap());
            assert!(matches!(opened, Err(SealError::Tampered { key_id }) if key_id == "k"), "bit {bit}");
        }
    }

    #[test]
    fn key_of_another_length_is_none_and_no_key_shows() {
        let id = KeyId::parse("k").unwrap();
        assert!(DataKey::new(id.clone(), &[0; 31]).is_none() && DataKey::new(id.clone(), &[0; 33]).is_none());
        assert_eq!(format!("{:?}", DataKey::new(id, &[65; KEY_BYTES]).unwrap()), "DataKey(k, redacted)");
    }

    #[test]
    fn ids_that_would_blur_the_layout_are_refused() {
        for text in ["", "a.b", "a b", "a\n", "ä", &"x".repeat(65)] {
            assert_eq!(KeyId::parse(text), Err(InvalidKeyId), "{text}");
        }
    }
}
