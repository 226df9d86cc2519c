//! The answer about a receipt: `{status: false}`, or `{status: true, orderId, amount, currency, importedAtUTC, lines?:
//! [{sku, quantity, locationId?}], cancelled?}`.
//!
//! All or nothing: an order with a line that cannot be read would move the wrong stock.

use evenstock_app::{Amount, ValidatedLine, ValidatedOrder, Validation};
use evenstock_domain::{LocationId, OrderId, Quantity, Timestamp};
use serde_json::value::RawValue;

use crate::fields::{Fields, joined, parse, quantity, sku, text};

/// The most lines that an order may have.
const LINES_MAX: usize = 500;

/// Reads an answer's body.
///
/// # Errors
/// Everything that is wrong with it, never quoting it.
pub(super) fn validation(body: &[u8]) -> Result<Validation, String> {
    let json = str::from_utf8(body).map_err(|_| "body: must be UTF-8".to_owned())?;
    let mut fields = Fields::parse(json).map_err(|issue| format!("body: {issue}"))?;
    match fields.required("status", flag) {
        Some(true) => order(fields).map(Validation::Accepted),
        Some(false) => Ok(Validation::Refused),
        None => Err(joined(&fields.into_issues())),
    }
}

fn order(mut fields: Fields<'_>) -> Result<ValidatedOrder, String> {
    let order_id = fields.required("orderId", |value| {
        OrderId::parse(&text(value)?).map(|id| id.to_string()).map_err(|error| error.to_string())
    });
    let amount = fields.required("amount", |value| Amount::parse(value.get()).map_err(|error| error.to_string()));
    let currency = fields.required("currency", currency);
    let imported_at =
        fields.required("importedAtUTC", |value| Timestamp::parse(&text(value)?).map_err(|error| error.to_string()));
    let lines = fields.optional("lines", lines);
    let cancelled = fields.optional("cancelled", flag);
    match (order_id, amount, currency, imported_at, lines, cancelled) {
        (Some(order_id), Some(amount), Some(currency), Some(imported_at), Some(lines), Some(cancelled)) => {
            let (lines, cancelled) = (lines.unwrap_or_default(), cancelled.unwrap_or_default());
            Ok(ValidatedOrder { order_id, amount, currency, imported_at, lines, cancelled })
        }
        _ => Err(joined(&fields.into_issues())),
    }
}

fn flag(value: &RawValue) -> Result<bool, String> {
    parse(value.get(), "true or false")
}

fn currency(value: &RawValue) -> Result<String, String> {
    let currency = text(value)?;
    let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_code { Ok(currency.to_ascii_uppercase()) } else { Err("must be three letters".to_owned()) }
}

fn lines(value: &RawValue) -> Result<Vec<ValidatedLine>, String> {
    let rows: Vec<&RawValue> = parse(value.get(), "a list")?;
    if rows.len() > LINES_MAX {
        return Err(format!("must hold at most {LINES_MAX}"));
    }
    let (mut lines, mut issues) = (Vec::with_capacity(rows.len()), Vec::new());
    for (place, row) in rows.into_iter().enumerate() {
        match line(row) {
            Ok(line) => lines.push(line),
            Err(issue) => issues.push(format!("[{place}] {issue}")),
        }
    }
    if issues.is_empty() { Ok(lines) } else { Err(issues.join("; ")) }
}

fn line(row: &RawValue) -> Result<ValidatedLine, String> {
    let mut fields = Fields::parse(row.get())?;
    let product = fields.required("sku", sku);
    let units = fields.required("quantity", |value| match quantity(value)? {
        units if units == Quantity::default() => Err("must be at least 1".to_owned()),
        units => Ok(units),
    });
    let location =
        fields.optional("locationId", |value| LocationId::parse(&text(value)?).map_err(|error| error.to_string()));
    match (product, units, location) {
        (Some(sku), Some(quantity), Some(location)) => Ok(ValidatedLine { sku, quantity, location }),
        _ => Err(joined(&fields.into_issues())),
    }
}
