//! The optimistic lock of whole items: a put over the revision that was read, or where there is nothing yet.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use evenstock_app::StoreError;
use serde::Serialize;

use crate::table::{Attributes, DynamoStore, conditional, number, to_attributes};

/// The item is as it was read.
const UNCHANGED: &str = "rv = :rev";

/// Nothing stands there.
pub(crate) const ABSENT: &str = "attribute_not_exists(pk)";

/// The revision of an item that is put over `expected`.
pub(crate) const fn following(expected: Option<u64>) -> u64 {
    match expected {
        None => 1,
        Some(rev) => rev.saturating_add(1),
    }
}

impl DynamoStore {
    /// Puts `item` over the one with this revision, or where there is none. `Ok(Err(..))` when something else stands
    /// there, with it: it comes with the refusal at no cost.
    pub(crate) async fn put_over<T: Serialize + Sync>(
        &self,
        expected: Option<u64>,
        item: &T,
    ) -> Result<Result<(), Option<Attributes>>, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(item)?))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match expected {
            None => put.condition_expression(ABSENT),
            Some(rev) => put.condition_expression(UNCHANGED).expression_attribute_values(":rev", number(rev)),
        };
        let put = conditional!(put.send().await, PutItemError::ConditionalCheckFailedException)?;
        Ok(put.map(|_| ()))
    }
}
