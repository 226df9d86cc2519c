//! Data keys that KMS makes and wraps: each stands in the table as only KMS can read it, and is unwrapped once a process.
//!
//! A key's id is its name in the table; the first process that needs it makes it. Rotating is naming another id: old
//! keys stay in the table and open what they sealed.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::{PoisonError, RwLock};

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use evenstock_app::{SealError, Sealed, Sealer, SecretText, StoreError, with_causes};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::cipher::{DataKey, Envelope, KeyId, Nonces};
use super::keyring::nonce;
use crate::errors::corrupt;
use crate::keys::{self, Key};
use crate::table::{Attributes, DynamoStore, conditional, to_attributes};

/// Answers of KMS that a later try may not get.
const PASSING: [&str; 8] = [
    "DependencyTimeoutException",
    "KMSInternalException",
    "KeyUnavailableException",
    "InternalFailure",
    "LimitExceededException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "ThrottlingException",
];

/// A data key as it is stored.
#[derive(Serialize, Deserialize)]
struct SealKeyItem {
    pk: String,
    sk: String,
    /// The data key, encrypted by KMS.
    #[serde(with = "serde_bytes")]
    ct: Vec<u8>,
    /// ARN of the KMS key that encrypted it.
    ka: String,
}

/// Seals with data keys that KMS protects.
#[derive(Debug)]
pub struct KmsSealer {
    kms: aws_sdk_kms::Client,
    store: DynamoStore,
    master_key: String,
    current: KeyId,
    nonces: Nonces,
    /// The keys that this process has unwrapped.
    unwrapped: RwLock<BTreeMap<KeyId, DataKey>>,
}

impl KmsSealer {
    /// A sealer with the data key `current`, made under the KMS key `master_key` (an ARN) when it is not in the table.
    pub fn new(
        kms: aws_sdk_kms::Client,
        store: DynamoStore,
        master_key: impl Into<String>,
        current: KeyId,
        nonces: Nonces,
    ) -> Self {
        Self { kms, store, master_key: master_key.into(), current, nonces, unwrapped: RwLock::default() }
    }

    /// A key that was made before.
    async fn known(&self, id: &KeyId) -> Result<Option<DataKey>, SealError> {
        let unwrapped = self.unwrapped.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if unwrapped.is_some() {
            return Ok(unwrapped);
        }
        match self.store.get(&keys::seal_key(id.as_str())).await.map_err(from_store)? {
            Some(item) => self.unwrap(id, item).await.map(Some),
            None => Ok(None),
        }
    }

    async fn unwrap(&self, id: &KeyId, item: Attributes) -> Result<DataKey, SealError> {
        let item: SealKeyItem = serde_dynamo::aws_sdk_dynamodb_1::from_item(item)
            .map_err(|error| from_store(corrupt(keys::seal_key(id.as_str()).pk, error)))?;
        let decrypt = self.kms.decrypt().key_id(item.ka).ciphertext_blob(Blob::new(item.ct));
        let decrypted = decrypt.set_encryption_context(Some(purpose(id))).send().await;
        let plain = decrypted.map_err(|error| from_kms(id, &error))?.plaintext;
        self.keep(id, plain)
    }

    /// Makes the key `id`. Of several processes that do so at once one succeeds, and the others take its key.
    async fn make(&self, id: &KeyId) -> Result<DataKey, SealError> {
        let generate = self.kms.generate_data_key().key_id(&self.master_key).key_spec(DataKeySpec::Aes256);
        let made = generate.set_encryption_context(Some(purpose(id))).send().await;
        let made = made.map_err(|error| from_kms(id, &error))?;
        let (Some(wrapped), Some(arn)) = (made.ciphertext_blob, made.key_id) else {
            return Err(incomplete());
        };
        let Key { pk, sk } = keys::seal_key(id.as_str());
        let item = to_attributes(&SealKeyItem { pk, sk, ct: wrapped.into_inner(), ka: arn }).map_err(from_store)?;
        let put = self.store.client.put_item().table_name(&self.store.table).set_item(Some(item));
        let put = put
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match conditional!(put.send().await, PutItemError::ConditionalCheckFailedException) {
            Ok(Ok(_)) => self.keep(id, made.plaintext),
            Ok(Err(Some(existing))) => self.unwrap(id, existing).await,
            // Whatever the table holds by now is the key; what nobody can read back must not seal anything.
            Ok(Err(None)) | Err(StoreError::Unknown(_)) => {
                let lost = || SealError::Unavailable("it is not known whether the new key was stored".into());
                self.known(id).await?.ok_or_else(lost)
            }
            Err(error) => Err(from_store(error)),
        }
    }

    fn keep(&self, id: &KeyId, plain: Option<Blob>) -> Result<DataKey, SealError> {
        let plain = Zeroizing::new(plain.ok_or_else(incomplete)?.into_inner());
        let key = DataKey::new(id.clone(), &plain).ok_or_else(incomplete)?;
        self.unwrapped.write().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), key.clone());
        Ok(key)
    }
}

impl Sealer for KmsSealer {
    async fn seal(&self, context: &str, secret: &str) -> Result<Sealed, SealError> {
        let key = match self.known(&self.current).await? {
            Some(key) => key,
            None => self.make(&self.current).await?,
        };
        key.seal(nonce(self.nonces)?, context, secret)
    }

    async fn open(&self, context: &str, sealed: &Sealed) -> Result<SecretText, SealError> {
        let envelope = Envelope::parse(sealed)?;
        match self.known(&envelope.key_id).await? {
            Some(key) => key.open(context, &envelope),
            None => Err(envelope.unknown_key()),
        }
    }
}

/// What the wrapped key is bound to, so that none is taken for another. Not the table's name: a restored table has
/// another one.
fn purpose(id: &KeyId) -> HashMap<String, String> {
    HashMap::from([("evenstock:seal-key".to_owned(), id.as_str().to_owned())])
}

fn incomplete() -> SealError {
    SealError::Refused("KMS answered without a key of 32 bytes".into())
}

fn from_store(error: StoreError) -> SealError {
    if error.is_passing() { SealError::Unavailable(Box::new(error)) } else { SealError::Refused(Box::new(error)) }
}

/// Keeps what an error says and not the error: it could carry the raw answer, and that a key.
fn from_kms<E, R>(id: &KeyId, error: &SdkError<E, R>) -> SealError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    R: core::fmt::Debug + Send + Sync + 'static,
{
    let said = with_causes(error).into();
    match error {
        SdkError::ConstructionFailure(_) => SealError::Refused(said),
        SdkError::ServiceError(context) => match context.err().code() {
            Some("InvalidCiphertextException") => SealError::Tampered { key_id: id.as_str().to_owned() },
            Some(code) if !PASSING.contains(&code) => SealError::Refused(said),
            _ => SealError::Unavailable(said),
        },
        _ => SealError::Unavailable(said),
    }
}
