//! The answer `{items: [{sku, quantity, version?, updatedAt?}], nextCursor?}`.
//!
//! A row that cannot be used becomes an issue; the others stay. What the warehouse says of versions and times is left
//! alone: a page counts as of the moment that it was asked for, so it cannot lie about that.

use core::fmt;

use evenstock_app::{FeedError, WarehouseRow, WarehouseStockPage};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::FieldIssue;
use crate::fields::{Fields, parse, quantity, sku, text};

/// The greatest number of rows that an answer may have.
const ROWS_MAX: usize = 100_000;

/// The longest cursor that is carried, in bytes: it stands in the job's item.
const CURSOR_BYTES_MAX: usize = 2048;

/// Characters of an unusable product name that an issue shows.
const SHOWN_CHARACTERS_MAX: usize = 128;

/// Reads an answer's body.
///
/// # Errors
/// [`FeedError::Malformed`] when it is not JSON of the outer shape.
pub(super) fn page(body: &[u8]) -> Result<WarehouseStockPage, FeedError> {
    let malformed = |reason: String| FeedError::Malformed { reason };
    let json = str::from_utf8(body).map_err(|_| malformed("body: must be UTF-8".to_owned()))?;
    let mut fields = Fields::parse(json).map_err(|issue| malformed(format!("body: {issue}")))?;
    let rows = fields.required("items", |items| parse::<Rows>(items.get(), "an array of at most 100000 rows"));
    let next = fields.optional("nextCursor", |value| {
        let cursor = text(value)?;
        if cursor.len() > CURSOR_BYTES_MAX { Err("must be at most 2048 bytes".to_owned()) } else { Ok(cursor) }
    });
    match (rows, next) {
        (Some(Rows(rows)), Some(next)) => {
            Ok(WarehouseStockPage { rows, next: next.filter(|cursor| !cursor.is_empty()) })
        }
        _ => Err(malformed(joined(&fields.into_issues()))),
    }
}

/// The rows of an answer, each read as it is met: so an endless list ends at the limit, not at the memory's end.
struct Rows(Vec<Result<WarehouseRow, String>>);

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RowsVisitor;

        impl<'de> Visitor<'de> for RowsVisitor {
            type Value = Rows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut rows = Vec::new();
                while let Some(item) = items.next_element::<&RawValue>()? {
                    if rows.len() == ROWS_MAX {
                        return Err(A::Error::custom("too many rows"));
                    }
                    rows.push(row(item));
                }
                Ok(Rows(rows))
            }
        }

        deserializer.deserialize_seq(RowsVisitor)
    }
}

fn row(item: &RawValue) -> Result<WarehouseRow, String> {
    let mut fields = Fields::parse(item.get()).map_err(|issue| format!("item: {issue}"))?;
    let mut shown: Option<String> = None;
    let product = fields.required("sku", |value| {
        shown = text(value).ok().map(|text| text.chars().take(SHOWN_CHARACTERS_MAX).collect());
        sku(value)
    });
    let stock = fields.required("quantity", quantity);
    match (product, stock) {
        (Some(sku), Some(quantity)) => Ok(WarehouseRow { sku, quantity }),
        _ => Err(format!("{}: {}", shown.as_deref().unwrap_or("item"), joined(&fields.into_issues()))),
    }
}

fn joined(issues: &[FieldIssue]) -> String {
    issues.iter().map(FieldIssue::to_string).collect::<Vec<_>>().join("; ")
}
