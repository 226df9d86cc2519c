//! The one table: access to single items, for the modules that know their layout.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use evenstock_app::{StoreError, StoreProbe};

use crate::errors::{refused, store_error};
use crate::keys::Key;

/// An item as the SDK gives it.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// All stores of the system, on one DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    pub(crate) client: Client,
    pub(crate) table: String,
    pub(crate) history_days: u32,
}

impl DynamoStore {
    /// A store on `table`, keeping journal pages for `history_days` days.
    pub fn new(client: Client, table: impl Into<String>, history_days: u32) -> Self {
        Self { client, table: table.into(), history_days }
    }

    /// Reads an item as the last completed write left it.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Attributes>, StoreError> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let got = get.key("pk", text(&key.pk)).key("sk", text(&key.sk)).send().await.map_err(store_error)?;
        Ok(got.item)
    }

    /// An update of one item; the condition is the caller's to add.
    pub(crate) fn update(&self, key: Key) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).key("pk", text(key.pk)).key("sk", text(key.sk))
    }
}

impl StoreProbe for DynamoStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.get(&Key { pk: "ping".to_owned(), sk: "ping".to_owned() }).await.map(|_| ())
    }
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl core::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Tells a condition that was not met from an error: `Ok(Err(item))` holds the item that did not meet it, if there is
/// one and it was asked for. `$error` is the operation's variant for it.
macro_rules! conditional {
    ($result:expr, $error:path) => {
        match $result {
            Ok(output) => Ok(Ok(output)),
            Err(error) => match error.as_service_error() {
                Some($error(refusal)) => Ok(Err(refusal.item.clone())),
                _ => Err($crate::errors::store_error(error)),
            },
        }
    };
}
pub(crate) use conditional;

pub(crate) fn to_attributes<T: serde::Serialize>(item: &T) -> Result<Attributes, StoreError> {
    serde_dynamo::aws_sdk_dynamodb_1::to_item(item).map_err(refused)
}
