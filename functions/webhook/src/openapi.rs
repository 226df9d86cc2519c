//! The function's endpoints, as marketplaces should know them.

use evenstock_runtime::http::{Endpoint, describe};
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;

use crate::DeliveryBody;

/// Marketplace A's count of a product. Read by its channel, which names every field that is wrong.
#[derive(ToSchema)]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
#[schema(example = json!({
    "product_code": "SHIRT-1", "available_stock": 7, "timestamp": "2026-11-20T08:00:00Z", "warehouse": "main",
    "metadata": { "batch": "b-1" },
}))]
struct MarketplaceADelivery {
    #[schema(min_length = 1, max_length = 128)]
    product_code: String,
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    available_stock: i64,
    /// When it was counted, RFC 3339; at most two minutes ahead.
    timestamp: String,
    /// The location; the store's own unless given, which is `default` unless registered.
    #[schema(min_length = 1, max_length = 128)]
    warehouse: Option<String>,
    /// Whatever the marketplace likes to add. Not read.
    metadata: Option<serde_json::Value>,
}

/// A notice of an order, from a marketplace that is asked about receipts. Read by its channel.
#[derive(ToSchema)]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
#[schema(example = json!({ "receipt": "order-101", "cancelled": false }))]
struct OrderNoticeDelivery {
    #[schema(min_length = 1, max_length = 128)]
    receipt: String,
    /// Whether the order was called off; `false` unless given.
    cancelled: Option<bool>,
}

/// Describes the function.
pub fn openapi() -> OpenApi {
    let signature = "The hex HMAC-SHA256 of the raw body under the store's secret: the proof, in a key's place.";
    let delivery = |path, id, summary| {
        Endpoint::post(path, id, summary).header("x-marketplace-signature", signature).refuses(&[401, 503])
    };
    let default = delivery("/webhooks/marketplace-a", "deliver", "Takes a delivery of marketplace A's default store.")
        .body::<MarketplaceADelivery>()
        .answers::<DeliveryBody>(202, "On the queue.");
    let named = delivery(
        "/ingest/{channel}/{storeId}",
        "deliverOf",
        "Takes a delivery of a registered store: counts from `marketplace-a`, notices of orders from `etsy`, `shopify` and \
         `amazon`.",
    );
    let about = "On the queue, or noted. A count of a store whose orders move its stock changes nothing.";
    let named = named.body_of::<MarketplaceADelivery, OrderNoticeDelivery>().answers::<DeliveryBody>(202, about);
    describe("webhook", [default, named.refuses(&[404, 429])])
}
