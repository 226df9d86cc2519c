//! A sealer in memory. Hides nothing from an attacker; refuses everything that a real one refuses.

use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use crate::{SealError, Sealed, Sealer, SecretText};

/// The id of its one key.
const KEY_ID: &str = "memory";

/// Seals without a cipher, or is down.
#[derive(Debug, Default)]
pub struct MemorySealer {
    down: AtomicBool,
}

impl MemorySealer {
    /// Takes it down or brings it back.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    fn up(&self) -> Result<(), SealError> {
        if self.down.load(Ordering::SeqCst) { Err(SealError::Unavailable("the sealer is down".into())) } else { Ok(()) }
    }
}

/// The secret for all to see, and a checksum that binds it to its context.
fn write(context: &str, secret: &str) -> Sealed {
    let checksum = Sha256::new().chain_update(context).chain_update([0]).chain_update(secret).finalize();
    Sealed::from_stored(format!("1.{KEY_ID}.{}.{}", hex::encode(secret), hex::encode(checksum)))
}

impl Sealer for MemorySealer {
    async fn seal(&self, context: &str, secret: &str) -> Result<Sealed, SealError> {
        self.up()?;
        Ok(write(context, secret))
    }

    async fn open(&self, context: &str, sealed: &Sealed) -> Result<SecretText, SealError> {
        self.up()?;
        let rest = sealed.as_str().strip_prefix("1.").ok_or(SealError::Malformed)?;
        let (key_id, rest) = rest.split_once('.').ok_or(SealError::Malformed)?;
        if key_id != KEY_ID {
            return Err(SealError::UnknownKey { key_id: key_id.to_owned() });
        }
        let secret = rest.split_once('.').and_then(|(secret, _)| String::from_utf8(hex::decode(secret).ok()?).ok());
        let secret = secret.filter(|secret| write(context, secret) == *sealed);
        secret.map(SecretText::new).ok_or_else(|| SealError::Tampered { key_id: KEY_ID.to_owned() })
    }
}
