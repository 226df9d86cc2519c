//! A receipt as everybody outside sees it: the row of `GET /orders` and the data of `order.*` events.

use evenstock_domain::{OrderStock, Receipt, Timestamp};
use serde_json::{Value, json};

use crate::Amount;

/// The row of a receipt.
pub fn order_row(receipt: &Receipt) -> Value {
    let order = receipt.order();
    let amount = order.and_then(|order| Amount::parse(&order.amount).ok());
    let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
    json!({
        "receipt": receipt.id.as_str(),
        "status": receipt.state().as_str(),
        "attempt": receipt.calls,
        "nextRetryAt": text(receipt.next_retry_at.filter(|_| receipt.due_at().is_some())),
        "error": receipt.error().map(evenstock_domain::ReceiptError::as_str),
        "orderId": order.map(|order| order.order_id.as_str()),
        "amount": amount.map(|amount| amount.to_number()),
        "currency": order.map(|order| order.currency.as_str()),
        "importedAt": text(order.map(|order| order.imported_at)),
        "stock": receipt.stock().map(OrderStock::as_str),
        "cancelled": receipt.cancelled_at.is_some(),
    })
}
