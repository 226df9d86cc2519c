//! The bodies of questions and answers. Questions are read field by field, so that every wrong one can be named; their
//! type here describes them.

use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;

/// A receipt to look up.
#[derive(ToSchema)]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
#[schema(example = json!({ "receipt": "order-101", "currency": "EUR" }))]
pub(crate) struct ValidateRequest {
    #[schema(min_length = 1, max_length = 128)]
    receipt: String,
    /// Three letters; `USD` unless given.
    #[schema(min_length = 3, max_length = 3)]
    currency: Option<String>,
}

/// Whether a receipt is an order, and which. What is no order has a `status` and nothing else.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ValidationBody {
    pub(crate) status: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) order_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub(crate) amount: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) currency: Option<String>,
    #[serde(rename = "importedAtUTC", skip_serializing_if = "Option::is_none")]
    pub(crate) imported_at: Option<String>,
    /// What was ordered, when the receipt contains `-L`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lines: Option<Vec<OrderedLine>>,
    /// `true` when the receipt contains `-X`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cancelled: Option<bool>,
}

/// Units of a product that were ordered.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderedLine {
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    /// Where they are to come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) location_id: Option<&'static str>,
}

/// The marketplace's own way to put a question off.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PutOffBody {
    /// `rate_limited`.
    pub(crate) error: &'static str,
}
