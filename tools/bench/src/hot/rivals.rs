//! What most systems do about a level that many write at once, each in its plainest form: no history is kept, so an item
//! stays far below a write unit.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use evenstock_app::Clock;
use evenstock_runtime::SystemClock;

use super::Contestant;
use crate::Failure;

/// Read the quantity and its version; write if the version still stands; else begin again.
pub(super) struct ReadVersionWrite {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) tries: u32,
}

/// The stock, an idempotency record and an outbox row, in one transaction; DynamoDB cancels it while another one has an
/// item of it in work, and then it begins again.
pub(super) struct ThreeItems {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) tries: u32,
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn key(pk: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text("rival"))])
}

fn read_number(item: &HashMap<String, AttributeValue>, name: &str) -> Result<u64, Failure> {
    let value = item.get(name).and_then(|value| value.as_n().ok()).ok_or_else(|| format!("{name} is missing"))?;
    Ok(value.parse()?)
}

async fn put_units(client: &Client, table: &str, pk: &str, units: u64) -> Result<(), Failure> {
    let put = client.put_item().table_name(table).set_item(Some(key(pk)));
    put.item("q", number(units)).item("ver", number(0)).condition_expression("attribute_not_exists(pk)").send().await?;
    Ok(())
}

async fn load(client: &Client, table: &str, pk: &str) -> Result<HashMap<String, AttributeValue>, Failure> {
    let got = client.get_item().table_name(table).consistent_read(true).set_key(Some(key(pk))).send().await?;
    Ok(got.item.ok_or("the rival's level is gone")?)
}

impl ReadVersionWrite {
    const PK: &'static str = "read-version-write";
}

impl Contestant for ReadVersionWrite {
    async fn stock(&self, units: u64) -> Result<(), Failure> {
        put_units(&self.client, &self.table, Self::PK, units).await
    }

    async fn take(&self, _: u32, _: u32) -> Result<bool, Failure> {
        for attempt in 1..=self.tries {
            let item = load(&self.client, &self.table, Self::PK).await?;
            let (units, version) = (read_number(&item, "q")?, read_number(&item, "ver")?);
            let update = self.client.update_item().table_name(&self.table).set_key(Some(key(Self::PK)));
            let update = update.update_expression("SET q = :q, ver = :next").condition_expression("ver = :ver");
            let update = update.expression_attribute_values(":q", number(units.checked_sub(1).ok_or("sold out")?));
            let update = update.expression_attribute_values(":next", number(version + 1));
            match update.expression_attribute_values(":ver", number(version)).send().await {
                Ok(_) => return Ok(true),
                Err(SdkError::ServiceError(refusal))
                    if matches!(refusal.err(), UpdateItemError::ConditionalCheckFailedException(_)) => {}
                Err(error) => return Err(error.into()),
            }
            SystemClock.back_off(attempt).await;
        }
        Ok(false)
    }

    async fn left(&self) -> Result<u64, Failure> {
        read_number(&load(&self.client, &self.table, Self::PK).await?, "q")
    }
}

impl ThreeItems {
    const PK: &'static str = "three-items";

    fn new_row(&self, pk: &str) -> Result<TransactWriteItem, Failure> {
        let put = Put::builder().table_name(&self.table).set_item(Some(key(pk)));
        let put = put.condition_expression("attribute_not_exists(pk)").build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

impl Contestant for ThreeItems {
    async fn stock(&self, units: u64) -> Result<(), Failure> {
        put_units(&self.client, &self.table, Self::PK, units).await
    }

    async fn take(&self, writer: u32, n: u32) -> Result<bool, Failure> {
        let update = Update::builder().table_name(&self.table).set_key(Some(key(Self::PK)));
        let update = update.update_expression("SET q = q - :one, ver = ver + :one").condition_expression("q >= :one");
        let update = update.expression_attribute_values(":one", number(1)).build()?;
        let items = [
            TransactWriteItem::builder().update(update).build(),
            self.new_row(&format!("three-items/event/{writer}/{n}"))?,
            self.new_row(&format!("three-items/outbox/{writer}/{n}"))?,
        ];
        for attempt in 1..=self.tries {
            let transaction = self.client.transact_write_items().set_transact_items(Some(items.to_vec()));
            match transaction.send().await {
                Ok(_) => return Ok(true),
                Err(SdkError::ServiceError(refusal))
                    if matches!(refusal.err(), TransactWriteItemsError::TransactionCanceledException(_)) => {}
                Err(error) => return Err(error.into()),
            }
            SystemClock.back_off(attempt).await;
        }
        Ok(false)
    }

    async fn left(&self) -> Result<u64, Failure> {
        read_number(&load(&self.client, &self.table, Self::PK).await?, "q")
    }
}
