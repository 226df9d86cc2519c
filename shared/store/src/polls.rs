//! The state of the polls.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;
use evenstock_app::{PollRun, PollStatus, PollStatusStore, PollStore, StoreError};
use evenstock_domain::{InvalidTime, Source, Timestamp};
use serde::Deserialize;

use crate::errors::corrupt;
use crate::keys;
use crate::table::{DynamoStore, conditional, number, text};

/// Nobody but this job began this poll before it was due, and the other side does not want us to wait.
const DUE: &str = "(attribute_not_exists(du) OR du <= :now OR jb = :job) AND (attribute_not_exists(nb) OR nb <= :now)";

/// The other side does not want us to wait.
const NOT_DEFERRED: &str = "attribute_not_exists(nb) OR nb <= :now";

#[derive(Debug, Deserialize)]
struct PollItem {
    /// Runs begun.
    rn: u64,
    /// Cursor, milliseconds.
    #[serde(default)]
    cu: Option<i64>,
    /// Due from then on, milliseconds.
    #[serde(default)]
    du: Option<i64>,
    /// Not before, milliseconds.
    #[serde(default)]
    nb: Option<i64>,
}

impl PollStatusStore for DynamoStore {
    async fn poll_status(&self, source: &Source) -> Result<PollStatus, StoreError> {
        let key = keys::poll(source);
        let Some(attributes) = self.get(&key).await? else {
            return Ok(PollStatus::default());
        };
        let item: PollItem =
            serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(key.pk.clone(), error))?;
        let time = |millis: Option<i64>| millis.map(Timestamp::from_millis).transpose();
        let status = || {
            Ok(PollStatus { runs: item.rn, cursor: time(item.cu)?, due: time(item.du)?, not_before: time(item.nb)? })
        };
        status().map_err(|error: InvalidTime| corrupt(key.pk, error))
    }
}

impl PollStore for DynamoStore {
    async fn begin_run(
        &self,
        source: &Source,
        job: &str,
        now: Timestamp,
        next_due: Timestamp,
        forced: bool,
    ) -> Result<Option<PollRun>, StoreError> {
        let update = self
            .update(keys::poll(source))
            .update_expression("SET du = :next, jb = :job ADD rn :one")
            .condition_expression(if forced { NOT_DEFERRED } else { DUE })
            .expression_attribute_values(":now", number(now.as_millis()))
            .expression_attribute_values(":next", number(next_due.as_millis()))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":job", text(job))
            .return_values(ReturnValue::AllNew);
        let Ok(begun) = conditional!(update.send().await, UpdateItemError::ConditionalCheckFailedException)? else {
            return Ok(None);
        };
        let attributes = begun.attributes.unwrap_or_default();
        let name = || keys::poll(source).pk;
        let item: PollItem =
            serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name(), error))?;
        let cursor = item.cu.map(Timestamp::from_millis).transpose().map_err(|error| corrupt(name(), error))?;
        Ok(Some(PollRun { number: item.rn, cursor }))
    }

    async fn finish_run(&self, source: &Source, due: Timestamp) -> Result<(), StoreError> {
        self.raise(source, "du", due).await
    }

    async fn advance(&self, source: &Source, cursor: Timestamp) -> Result<(), StoreError> {
        self.raise(source, "cu", cursor).await
    }

    async fn defer(&self, source: &Source, until: Timestamp) -> Result<(), StoreError> {
        self.raise(source, "nb", until).await
    }
}

impl DynamoStore {
    /// Sets a time of a poll, unless it stands at a later one already.
    async fn raise(&self, source: &Source, attribute: &str, to: Timestamp) -> Result<(), StoreError> {
        let update = self
            .update(keys::poll(source))
            .update_expression("SET #time = :to")
            .condition_expression("attribute_not_exists(#time) OR #time < :to")
            .expression_attribute_names("#time", attribute)
            .expression_attribute_values(":to", number(to.as_millis()));
        conditional!(update.send().await, UpdateItemError::ConditionalCheckFailedException).map(|_| ())
    }
}
