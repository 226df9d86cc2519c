//! What sealing needs from the outside: randomness, and where the environment says that the keys are.

use evenstock_store::{DynamoStore, InvalidKeyring, KeyId, Keyring, KeyringSealer, KmsSealer, NONCE_BYTES, kms_client};
use ring::rand::{SecureRandom, SystemRandom};

use crate::{ConfigError, Environment};

/// Bytes that nobody can foresee; `None` when the system has none to give.
pub fn random_bytes<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes)
}

fn nonce() -> Option<[u8; NONCE_BYTES]> {
    random_bytes()
}

impl Environment {
    /// A sealer with the keys in `SEAL_KEYS`: `id:64 hexadecimal digits`, separated by line breaks or commas; the last
    /// one seals, all of them open. For wherever there is no KMS.
    ///
    /// # Errors
    /// [`ConfigError`] when it is missing or holds something else.
    pub fn keyring_sealer(&self) -> Result<KeyringSealer, ConfigError> {
        let name = "SEAL_KEYS";
        let keyring = Keyring::parse(self.required(name)?).map_err(|error| ConfigError::Invalid {
            name,
            expected: match error {
                InvalidKeyring::Empty | InvalidKeyring::Key(_) => "keys, each an id, a colon and 64 hexadecimal digits",
                InvalidKeyring::Repeated(_) => "keys with an id of its own each",
            },
        })?;
        Ok(KeyringSealer::new(keyring, nonce))
    }

    /// A sealer whose data keys stand in `store`, wrapped by the KMS key `SEAL_KEY_ARN`. `SEAL_KEY_ID` names the data key
    /// that seals, `1` unless set; another name makes a new one, and those before go on opening.
    ///
    /// # Errors
    /// [`ConfigError`] when a variable is missing or no name.
    pub fn kms_sealer(&self, store: &DynamoStore) -> Result<KmsSealer, ConfigError> {
        let name = "SEAL_KEY_ID";
        let current = KeyId::parse(self.optional(name).unwrap_or("1"))
            .map_err(|_| ConfigError::Invalid { name, expected: "1 to 64 letters, digits, - or _" })?;
        let master_key = self.required("SEAL_KEY_ARN")?;
        Ok(KmsSealer::new(kms_client(&self.aws()?), store.clone(), master_key, current, nonce))
    }
}

#[cfg(test)]
mod tests {
    use evenstock_app::Sealer;

    use super::*;

    fn keys(text: &str) -> Result<KeyringSealer, ConfigError> {
        [("SEAL_KEYS", text)].into_iter().collect::<Environment>().keyring_sealer()
    }

    #[tokio::test]
    async fn same_secret_is_never_sealed_twice_alike() {
        let sealer = keys(&format!("k:{}", "0f".repeat(32))).unwrap();
        let (first, second) = (sealer.seal("c", "hunter2").await.unwrap(), sealer.seal("c", "hunter2").await.unwrap());
        assert_ne!(first, second);
        assert_eq!(sealer.open("c", &second).await.unwrap().expose(), "hunter2");
    }

    #[test]
    fn errors_name_the_variable_and_never_its_value() {
        assert_eq!(keys("").unwrap_err(), ConfigError::Missing("SEAL_KEYS"));
        let twice = format!("k:{0},k:{0}", "0f".repeat(32));
        for text in ["hunter2", "k:hunter2", &twice] {
            let error = keys(text).unwrap_err();
            assert!(matches!(error, ConfigError::Invalid { name: "SEAL_KEYS", .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random_bytes::<32>().unwrap(), random_bytes::<32>().unwrap());
    }
}
