//! The bodies of requests and answers. Requests are read field by field, so that every wrong one can be named; their
//! types here describe them.
#![allow(dead_code, reason = "the types of requests describe; nothing is ever read into them")]

use evenstock_app::{Amount, SyncReport};
use evenstock_domain::{Receipt, ReceiptError};
use serde::Serialize;
use utoipa::ToSchema;

/// A seller's account.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({
    "organizationId": "demo", "marketplace": "etsy", "externalStoreId": "store-456", "storeName": "My Store",
    "accessToken": "token-abc", "currency": "USD",
}))]
pub(crate) struct RegisterRequest {
    #[schema(min_length = 1, max_length = 128)]
    organization_id: String,
    /// `etsy`, `shopify`, `amazon`, `marketplace-a` or `marketplace-b`.
    marketplace: String,
    #[schema(min_length = 1, max_length = 128)]
    external_store_id: String,
    #[schema(min_length = 1, max_length = 128)]
    store_name: String,
    /// Kept sealed.
    #[schema(min_length = 1, max_length = 4096)]
    access_token: String,
    /// Three letters.
    #[schema(min_length = 3, max_length = 3)]
    currency: String,
    /// What the account tells of its stock: `orders` unless set, and `authority` for marketplaces that state what is left
    /// (`marketplace-a`, `marketplace-b`). With another than `orders`, orders move none.
    #[schema(pattern = "^(authority|merged|orders)$")]
    stock_signal: Option<String>,
    /// Where units are taken from when an order's line does not say.
    #[schema(min_length = 1, max_length = 128)]
    default_location_id: Option<String>,
    /// Kept sealed.
    #[schema(min_length = 1, max_length = 512)]
    webhook_secret: Option<String>,
    /// Where the marketplace is asked, if not at the deployment's own address.
    base_url: Option<String>,
}

/// A registered account: the same for each registration of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RegisteredBody {
    pub(crate) store_id: String,
    /// Leads to the store; of no use without an API key.
    pub(crate) sync_token: String,
}

/// An order, by the marketplace's reference.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "syncToken": "token", "receipt": "order-101" }))]
pub(crate) struct ReceiptRequest {
    #[schema(min_length = 1, max_length = 128)]
    sync_token: String,
    #[schema(min_length = 1, max_length = 128)]
    receipt: String,
}

/// What the marketplace said of a receipt.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImportedBody {
    success: bool,
    /// `invalid_receipt`, `rate_limited`, `marketplace_unavailable`, `marketplace_auth` or `currency_mismatch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    amount: Option<serde_json::Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    imported_at: Option<String>,
}

impl ImportedBody {
    pub(crate) fn new(receipt: &Receipt) -> Self {
        let order = receipt.order();
        Self {
            success: order.is_some(),
            error: receipt.error().map(ReceiptError::as_str),
            order_id: order.map(|order| order.order_id.clone()),
            amount: order.and_then(|order| Amount::parse(&order.amount).ok()).map(|amount| amount.to_number()),
            currency: order.map(|order| order.currency.clone()),
            imported_at: order.map(|order| order.imported_at.to_string()),
        }
    }
}

/// How a store's synchronization goes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusBody {
    /// When the marketplace last answered; `null` before it did.
    last_sync_at: Option<String>,
    imported_orders: u64,
    /// `pending`, `success`, `partial` or `failed`, by the 20 latest answers.
    sync_status: &'static str,
    /// Receipts that the marketplace has put off.
    rate_limited_count: u64,
}

impl StatusBody {
    pub(crate) fn new(report: &SyncReport) -> Self {
        Self {
            last_sync_at: report.last_sync_at.map(|time| time.to_string()),
            imported_orders: report.imported_orders,
            sync_status: report.status.as_str(),
            rate_limited_count: report.rate_limited_count,
        }
    }
}

/// A receipt and what became of it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct OrderRow {
    receipt: String,
    /// `pending`, `success`, `failed` or `rate_limited`.
    status: String,
    /// Calls made.
    attempt: u32,
    #[schema(required = true)]
    next_retry_at: Option<String>,
    #[schema(required = true)]
    error: Option<String>,
    #[schema(required = true)]
    order_id: Option<String>,
    #[schema(required = true)]
    amount: Option<f64>,
    #[schema(required = true)]
    currency: Option<String>,
    #[schema(required = true)]
    imported_at: Option<String>,
    /// `taken`, `short` when more was taken than there was, `returned` when it was called off; `null` when it moves none.
    #[schema(required = true)]
    stock: Option<String>,
    cancelled: bool,
}

/// A page of a store's receipts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrdersBody {
    #[schema(value_type = Vec<OrderRow>)]
    pub(crate) items: Vec<serde_json::Value>,
    /// Empty at the end. A page may be empty and yet not be the last.
    pub(crate) next_cursor: String,
}
