//! The index of what is due: items under a group (`d`) in the order of their time (`dt`, milliseconds). It lags behind
//! the items; whoever acts on what it lists reads the item first.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use evenstock_app::StoreError;
use evenstock_domain::Timestamp;

use crate::errors::corrupt;
use crate::keys::{DUE, Key};
use crate::level_item::item_name;
use crate::table::{Attributes, DynamoStore, number, text};

impl DynamoStore {
    /// Asks for what `group` has due at `until`; after the item at which an earlier page ended, if there was one.
    pub(crate) fn query_due(
        &self,
        group: String,
        until: Timestamp,
        limit: u32,
        after: Option<(Timestamp, Key)>,
    ) -> QueryFluentBuilder {
        let start = after.map(|(at, key)| {
            Attributes::from([
                ("pk".to_owned(), text(key.pk)),
                ("sk".to_owned(), text(key.sk)),
                ("d".to_owned(), text(&group)),
                ("dt".to_owned(), number(at.as_millis())),
            ])
        });
        self.client
            .query()
            .table_name(&self.table)
            .index_name(DUE)
            .key_condition_expression("d = :group AND dt <= :until")
            .expression_attribute_values(":group", text(group))
            .expression_attribute_values(":until", number(until.as_millis()))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start)
    }
}

/// Reads one row of the index: its time, and what `parse` makes of its key.
pub(crate) fn read_due<T>(
    row: &Attributes,
    parse: impl FnOnce(&str, &str) -> Option<T>,
) -> Result<(T, Timestamp), StoreError> {
    let part = |name| row.get(name).and_then(|value| value.as_s().ok());
    let millis = row.get("dt").and_then(|value| value.as_n().ok()).and_then(|millis| millis.parse().ok());
    let at = millis.and_then(|millis| Timestamp::from_millis(millis).ok());
    let subject = part("pk").zip(part("sk")).and_then(|(pk, sk)| parse(pk, sk));
    subject.zip(at).ok_or_else(|| corrupt(item_name(row), "not a row of the due index"))
}
