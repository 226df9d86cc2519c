//! Idempotency records.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use evenstock_app::{IdempotencyStore, OperationClaim, OperationRecord, StoreError};
use evenstock_domain::{OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::errors::corrupt;
use crate::keys::{self, Key};
use crate::level_item::item_name;
use crate::table::{Attributes, DynamoStore, conditional, number, text, to_attributes};

/// The key is unused, or its record has run out, deleted or not.
const UNUSED: &str = "attribute_not_exists(pk) OR ex <= :now";

/// The key is still this operation's, and nobody answered yet.
const UNANSWERED: &str = "t = :time AND attribute_not_exists(an)";

#[derive(Debug, Serialize, Deserialize)]
struct OperationItem {
    pk: String,
    sk: String,
    /// Organization, as a plain name: `o` would put the record into the index of levels.
    og: String,
    /// The client's key.
    k: String,
    /// Hash of the request.
    h: ByteBuf,
    /// First seen, milliseconds.
    t: i64,
    /// Runs out, milliseconds.
    ex: i64,
    /// When it may be deleted, seconds.
    x: i64,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    an: Option<String>,
}

impl IdempotencyStore for DynamoStore {
    async fn claim(&self, record: &OperationRecord) -> Result<OperationClaim, StoreError> {
        let Key { pk, sk } = keys::operation(&record.organization, &record.key);
        let item = OperationItem {
            pk,
            sk,
            og: record.organization.to_string(),
            k: record.key.clone(),
            h: ByteBuf::from(record.request_hash.to_vec()),
            t: record.time.as_millis(),
            ex: record.expires_at.as_millis(),
            x: record.expires_at.as_millis() / 1000 + 1,
            an: record.answer.clone(),
        };
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(&item)?))
            .condition_expression(UNUSED)
            .expression_attribute_values(":now", number(record.time.as_millis()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match conditional!(put.send().await, PutItemError::ConditionalCheckFailedException)? {
            Ok(_) => Ok(OperationClaim::New),
            Err(known) => read(known.unwrap_or_default()).map(OperationClaim::Existing),
        }
    }

    async fn keep_answer(
        &self,
        organization: &OrganizationId,
        key: &str,
        time: Timestamp,
        answer: &str,
    ) -> Result<Option<String>, StoreError> {
        let update = self
            .update(keys::operation(organization, key))
            .update_expression("SET an = :answer")
            .condition_expression(UNANSWERED)
            .expression_attribute_values(":answer", text(answer))
            .expression_attribute_values(":time", number(time.as_millis()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match conditional!(update.send().await, UpdateItemError::ConditionalCheckFailedException)? {
            Ok(_) => Ok(Some(answer.to_owned())),
            Err(None) => Ok(None),
            Err(Some(known)) => read(known).map(|record| record.answer.filter(|_| record.time == time)),
        }
    }
}

fn read(attributes: Attributes) -> Result<OperationRecord, StoreError> {
    let name = item_name(&attributes);
    let item: OperationItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    let parts = || {
        Some(OperationRecord {
            organization: OrganizationId::parse(&item.og).ok()?,
            key: item.k.clone(),
            request_hash: item.h.as_slice().try_into().ok()?,
            time: Timestamp::from_millis(item.t).ok()?,
            expires_at: Timestamp::from_millis(item.ex).ok()?,
            answer: item.an.clone(),
        })
    };
    parts().ok_or_else(|| corrupt(name, "not an idempotency record"))
}
