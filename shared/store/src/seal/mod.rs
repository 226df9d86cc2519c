//! Secrets at rest: the cipher, and where its keys come from.
//!
//! A sealed secret is `1.key id.base64url(nonce, ciphertext, tag)`: AES-256-GCM under a data key, with everything before
//! the last part and the context as associated data. The key's id stands in the open, so that keys can be replaced one
//! after the other: what is sealed says itself what opens it.

mod cipher;
mod keyring;
mod kms;

pub use cipher::{InvalidKeyId, KeyId, NONCE_BYTES, Nonces};
pub use keyring::{InvalidKeyring, Keyring, KeyringSealer};
pub use kms::KmsSealer;
