//! Marketplace B's answer: `{items: [{sku, qty, location_id?, last_modified, additional_info?}]}`.
//!
//! A row that cannot be used becomes an issue; the others stay. Only an answer whose rows cannot be told apart is
//! refused whole.

use core::fmt;

use evenstock_app::{FeedError, FeedPage, FeedRow, FeedRowIssue};
use evenstock_domain::Timestamp;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::fields::{DEFAULT_LOCATION, Fields, integer, joined, parse, quantity, sku, text};

/// The greatest number of rows that an answer may have. Far more than is ever asked for, because a marketplace may
/// disregard the limit.
const ROWS_MAX: usize = 100_000;

/// Characters of an unusable product name that an issue shows.
const SHOWN_CHARACTERS_MAX: usize = 128;

/// Reads an answer's body.
///
/// # Errors
/// [`FeedError::Malformed`] when it is not JSON of the outer shape.
pub(super) fn page(body: &[u8]) -> Result<FeedPage, FeedError> {
    let json = str::from_utf8(body).map_err(|_| malformed("body: must be UTF-8".to_owned()))?;
    let mut fields = Fields::parse(json).map_err(|issue| malformed(format!("body: {issue}")))?;
    match fields.required("items", |items| parse::<Rows>(items.get(), "an array of at most 100000 rows")) {
        Some(Rows(rows)) => Ok(FeedPage { rows }),
        None => Err(malformed(joined(&fields.into_issues()))),
    }
}

/// The rows of an answer, each read as it is met: so an endless list ends at the limit, not at the memory's end.
struct Rows(Vec<Result<FeedRow, FeedRowIssue>>);

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

fn row(item: &RawValue) -> Result<FeedRow, FeedRowIssue> {
    let mut fields = Fields::parse(item.get()).map_err(|issue| FeedRowIssue {
        sku: None,
        last_modified: None,
        issue: format!("item: {issue}"),
    })?;
    let mut shown = None;
    let product = fields.required("sku", |value| {
        shown = text(value).ok().map(|text| text.chars().take(SHOWN_CHARACTERS_MAX).collect());
        sku(value)
    });
    let stock = fields.required("qty", quantity);
    let location = fields.location("location_id", DEFAULT_LOCATION);
    let last_modified = fields.required("last_modified", unix_seconds);
    match (product, stock, location, last_modified) {
        (Some(sku), Some(quantity), Some(location), Some(last_modified)) => {
            Ok(FeedRow { sku, location, quantity, last_modified })
        }
        _ => Err(FeedRowIssue { sku: shown, last_modified, issue: joined(&fields.into_issues()) }),
    }
}

fn unix_seconds(value: &RawValue) -> Result<Timestamp, String> {
    // A time in milliseconds, the usual mistake, lies far behind the year 9999.
    Timestamp::from_seconds(integer(value)?).map_err(|_| "must be Unix seconds between 1970 and 9999".to_owned())
}

fn malformed(reason: String) -> FeedError {
    FeedError::Malformed { reason }
}
