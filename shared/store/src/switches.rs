//! The switch of an organization's periodic sync.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use evenstock_app::{StoreError, SwitchStore, SyncSwitch};
use evenstock_domain::{InvalidTime, OrganizationId, Timestamp};
use serde::Deserialize;

use crate::errors::corrupt;
use crate::keys;
use crate::level_item::item_name;
use crate::table::{Attributes, DynamoStore, conditional, number};

/// Nobody said anything later.
const NOT_LATER: &str = "attribute_not_exists(ca) OR ca <= :now";

/// No later run is kept.
const NO_LATER_RUN: &str = "attribute_not_exists(lr) OR lr < :now";

#[derive(Debug, Deserialize)]
struct SwitchItem {
    /// Whether it is on; absent until somebody says so.
    #[serde(default)]
    on: Option<bool>,
    /// Interval, milliseconds.
    #[serde(default)]
    iv: Option<i64>,
    /// Changed, milliseconds.
    #[serde(default)]
    ca: Option<i64>,
    /// Last run, milliseconds.
    #[serde(default)]
    lr: Option<i64>,
}

impl SwitchStore for DynamoStore {
    async fn load_switch(&self, organization: &OrganizationId) -> Result<SyncSwitch, StoreError> {
        self.get(&keys::sync_switch(organization)).await?.map_or_else(|| Ok(SyncSwitch::default()), read)
    }

    async fn set_switch(
        &self,
        organization: &OrganizationId,
        on: bool,
        interval_ms: Option<i64>,
        now: Timestamp,
    ) -> Result<SyncSwitch, StoreError> {
        let update = self
            .update(keys::sync_switch(organization))
            .condition_expression(NOT_LATER)
            .expression_attribute_names("#on", "on")
            .expression_attribute_values(":on", AttributeValue::Bool(on))
            .expression_attribute_values(":now", number(now.as_millis()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = match interval_ms {
            None => update.update_expression("SET #on = :on, ca = :now"),
            Some(interval_ms) => update
                .update_expression("SET #on = :on, ca = :now, iv = :iv")
                .expression_attribute_values(":iv", number(interval_ms)),
        };
        match conditional!(update.send().await, UpdateItemError::ConditionalCheckFailedException)? {
            Ok(set) => read(set.attributes.unwrap_or_default()),
            Err(later) => read(later.unwrap_or_default()),
        }
    }

    async fn mark_run(&self, organization: &OrganizationId, now: Timestamp) -> Result<(), StoreError> {
        let update = self
            .update(keys::sync_switch(organization))
            .update_expression("SET lr = :now")
            .condition_expression(NO_LATER_RUN)
            .expression_attribute_values(":now", number(now.as_millis()));
        conditional!(update.send().await, UpdateItemError::ConditionalCheckFailedException).map(|_| ())
    }
}

fn read(attributes: Attributes) -> Result<SyncSwitch, StoreError> {
    let name = item_name(&attributes);
    let item: SwitchItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    let time = |millis: Option<i64>| millis.map(Timestamp::from_millis).transpose();
    let switch = || {
        let (changed_at, last_run_at) = (time(item.ca)?, time(item.lr)?);
        Ok(SyncSwitch { on: item.on.unwrap_or(true), interval_ms: item.iv, changed_at, last_run_at })
    };
    switch().map_err(|error: InvalidTime| corrupt(name, error))
}
