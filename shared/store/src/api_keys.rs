//! API keys, found by their hash. The keys themselves are nowhere.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use evenstock_app::{ApiKey, KeyStore, Scope, StoreError};
use evenstock_domain::{OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::errors::corrupt;
use crate::keys::{self, Key};
use crate::table::{DynamoStore, conditional, to_attributes};

#[derive(Debug, Serialize, Deserialize)]
struct ApiKeyItem {
    pk: String,
    sk: String,
    /// Public name.
    id: String,
    /// Organization.
    og: String,
    /// Scopes.
    sc: Vec<String>,
    /// Operator.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    op: bool,
    /// Expires, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ex: Option<i64>,
}

impl KeyStore for DynamoStore {
    async fn find_key(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        let key = keys::api_key(hash);
        let Some(attributes) = self.get(&key).await? else {
            return Ok(None);
        };
        // The key's hash is as good as a password for guessing weak keys, so no message shows it.
        let wrong = || corrupt("an API key", "not readable");
        let item: ApiKeyItem = serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|_| wrong())?;
        let scopes = item.sc.iter().map(|scope| Scope::parse(scope)).collect::<Option<_>>().ok_or_else(wrong)?;
        Ok(Some(ApiKey {
            id: item.id,
            organization: OrganizationId::parse(&item.og).map_err(|_| wrong())?,
            scopes,
            operator: item.op,
            expires_at: item.ex.map(Timestamp::from_millis).transpose().map_err(|_| wrong())?,
        }))
    }
}

impl DynamoStore {
    /// Puts a key under the hash of its text, unless it is there.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be put.
    pub async fn create_key(&self, hash: &[u8; 32], key: &ApiKey) -> Result<(), StoreError> {
        let Key { pk, sk } = keys::api_key(hash);
        let item = ApiKeyItem {
            pk,
            sk,
            id: key.id.clone(),
            og: key.organization.to_string(),
            sc: key.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            op: key.operator,
            ex: key.expires_at.map(Timestamp::as_millis),
        };
        let put = self.client.put_item().table_name(&self.table).set_item(Some(to_attributes(&item)?));
        let put = put.condition_expression("attribute_not_exists(pk)");
        conditional!(put.send().await, PutItemError::ConditionalCheckFailedException).map(|_| ())
    }
}
