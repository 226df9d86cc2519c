//! The sums of counters, one item a function. The attributes that hold them begin with `n:`, so that none can be taken for
//! another one.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use evenstock_app::{CounterStore, Counts, StoreError};

use crate::errors::{corrupt, store_error};
use crate::keys::{self, COUNTERS};
use crate::level_item::item_name;
use crate::table::{Attributes, DynamoStore, conditional, number, text};

/// The last addition was another one.
const ANOTHER: &str = "attribute_not_exists(tk) OR tk <> :token";

/// What the names of counters begin with.
const COUNTER: &str = "n:";

impl CounterStore for DynamoStore {
    async fn add_counts(&self, function: &str, token: &str, counts: &Counts) -> Result<(), StoreError> {
        let additions: Vec<_> = (0..counts.len()).map(|place| format!("#n{place} :n{place}")).collect();
        let add = if additions.is_empty() { String::new() } else { format!(" ADD {}", additions.join(", ")) };
        let mut update = self
            .update(keys::counters(function))
            .update_expression(format!("SET tk = :token{add}"))
            .condition_expression(ANOTHER)
            .expression_attribute_values(":token", text(token));
        for (place, (name, count)) in counts.iter().enumerate() {
            update = update
                .expression_attribute_names(format!("#n{place}"), format!("{COUNTER}{name}"))
                .expression_attribute_values(format!(":n{place}"), number(count));
        }
        conditional!(update.send().await, UpdateItemError::ConditionalCheckFailedException).map(|_| ())
    }

    async fn all_counts(&self) -> Result<BTreeMap<String, Counts>, StoreError> {
        self.counter_items().await?.iter().map(read).collect()
    }

    async fn reset_counts(&self) -> Result<(), StoreError> {
        for attributes in self.counter_items().await? {
            let Some((pk, sk)) = attributes.get("pk").zip(attributes.get("sk")) else { continue };
            let delete = self.client.delete_item().table_name(&self.table).key("pk", pk.clone()).key("sk", sk.clone());
            let delete = delete.condition_expression("attribute_exists(pk)");
            // Gone already is as good.
            conditional!(delete.send().await, DeleteItemError::ConditionalCheckFailedException).map(drop)?;
        }
        Ok(())
    }
}

impl DynamoStore {
    /// All of them in one page: there are as many as functions.
    async fn counter_items(&self) -> Result<Vec<Attributes>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(COUNTERS))
            .consistent_read(true);
        Ok(query.send().await.map_err(store_error)?.items.unwrap_or_default())
    }
}

fn read(attributes: &Attributes) -> Result<(String, Counts), StoreError> {
    let wrong = || corrupt(item_name(attributes), "not counters");
    let sk = attributes.get("sk").and_then(|sk| sk.as_s().ok()).ok_or_else(wrong)?;
    let function = keys::parse_counters(sk).ok_or_else(wrong)?;
    let counter = |(name, value): (&String, &aws_sdk_dynamodb::types::AttributeValue)| {
        let name = name.strip_prefix(COUNTER)?;
        Some(
            value
                .as_n()
                .ok()
                .and_then(|count| count.parse().ok())
                .map(|count| (name.to_owned(), count))
                .ok_or_else(wrong),
        )
    };
    let counts = attributes.iter().filter_map(counter).collect::<Result<Counts, _>>()?;
    Ok((function, counts))
}
