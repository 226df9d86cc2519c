//! Marketplace A's payload: `{product_code, available_stock, timestamp, warehouse?, metadata?}`.
//!
//! Fields that we do not know are ignored, and so is `metadata`.

use evenstock_app::{ChangeBody, StockChange};
use evenstock_domain::{SOURCE_LEAD_MAX_MS, Timestamp};
use serde_json::value::RawValue;

use super::KIND;
use crate::fields::{Fields, quantity, sku, text};
use crate::{Delivery, FieldIssue, InvalidPayload};

/// Reads a delivery: one count of what can be sold.
pub(super) fn adapt(delivery: &Delivery<'_>) -> Result<StockChange, InvalidPayload> {
    let json = str::from_utf8(delivery.body).map_err(|_| body_issue("must be UTF-8".to_owned()))?;
    let mut fields = Fields::parse(json).map_err(body_issue)?;
    let product = fields.required("product_code", sku);
    let stock = fields.required("available_stock", quantity);
    let time = fields.required("timestamp", |value| punctual(value, delivery.received_at));
    let location = fields.location("warehouse", delivery.default_location.as_str());
    let source = fields.note("storeId", delivery.source(KIND));
    let (Some(product), Some(stock), Some(time), Some(location), Some(source)) =
        (product, stock, time, location, source)
    else {
        return Err(InvalidPayload { issues: fields.into_issues() });
    };
    Ok(StockChange {
        event_id: delivery.event_id(KIND),
        organization: delivery.organization.to_string(),
        sku: product.to_string(),
        location: location.to_string(),
        source: source.to_string(),
        time: time.to_string(),
        job_id: delivery.job_id.to_owned(),
        change: ChangeBody::CountAvailable { quantity: stock.get(), sequence: 0 },
    })
}

/// A count ahead of our clock would make every sale until then part of it, so it is refused while its sender listens.
fn punctual(value: &RawValue, received_at: Timestamp) -> Result<Timestamp, String> {
    let time = Timestamp::parse(&text(value)?).map_err(|error| error.to_string())?;
    if time.millis_since(received_at) > SOURCE_LEAD_MAX_MS {
        return Err("must not be more than two minutes ahead".to_owned());
    }
    Ok(time)
}

fn body_issue(issue: String) -> InvalidPayload {
    InvalidPayload { issues: vec![FieldIssue { field: "body".to_owned(), issue }] }
}
