//! What bodies look like, for the description of the endpoints. Handlers read bodies field by field, so that they can
//! name every field that is wrong; a test sends what is described here and holds one to the other.
#![expect(dead_code, reason = "these types describe; nothing is ever read into them")]

use utoipa::ToSchema;

/// A change of one level.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({
    "storeId": "main", "productId": "SHIRT-1", "delta": -1, "version": 1, "idempotencyKey": "sale-1",
}))]
pub(crate) struct UpdateRequest {
    #[schema(min_length = 1, max_length = 128)]
    store_id: String,
    #[schema(min_length = 1, max_length = 128)]
    product_id: String,
    /// Units to add or take; not 0.
    #[schema(minimum = -2_147_483_647, maximum = 2_147_483_647)]
    delta: i64,
    /// The version seen last; 0 for a level that is not there yet, `null` for whatever it is.
    #[schema(required = true)]
    version: Option<u64>,
    /// Required, here or as the header `Idempotency-Key`.
    #[schema(min_length = 1, max_length = 255)]
    idempotency_key: Option<String>,
}

/// Changes of several levels of one location, each on its own.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "storeId": "main", "updates": [
    { "productId": "SHIRT-1", "delta": -1, "version": null, "idempotencyKey": "sale-2" },
    { "productId": "MUG-1", "delta": 5, "version": 0, "idempotencyKey": "delivery-1" },
] }))]
pub(crate) struct UpdateListRequest {
    #[schema(min_length = 1, max_length = 128)]
    store_id: String,
    /// What is wrong inside fails that update only.
    #[schema(min_items = 1, max_items = 100)]
    updates: Vec<serde_json::Value>,
}

/// A location's books.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({
    "storeId": "main", "mode": "merge", "products": [{ "id": "SHIRT-1", "qty": 12, "version": 1 }],
}))]
pub(crate) struct SyncRequest {
    #[schema(min_length = 1, max_length = 128)]
    store_id: String,
    mode: SyncMode,
    #[schema(max_items = 1000)]
    products: Vec<SyncProduct>,
    /// Names a replacement that comes in parts.
    #[schema(min_length = 1, max_length = 255)]
    sync_id: Option<String>,
    /// Whether this is the last part. Then, and not before, what no part named is emptied.
    r#final: Option<bool>,
}

/// Whether what is not named stays as it is (`merge`) or is emptied (`replace`).
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum SyncMode {
    Merge,
    Replace,
}

/// A product in a location's books.
#[derive(ToSchema)]
pub(crate) struct SyncProduct {
    #[schema(min_length = 1, max_length = 128)]
    id: String,
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    qty: i64,
    /// The version seen last; of another one the level is skipped.
    version: u64,
}

/// A change of policy: one field at least. `lowStock: null` takes the threshold away.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({
    "storeId": "main", "lowStock": 5, "allowBackorder": false, "safetyStock": 2,
}))]
pub(crate) struct PolicyRequest {
    /// One location; every one that has the product unless named.
    #[schema(min_length = 1, max_length = 128)]
    store_id: Option<String>,
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    low_stock: Option<i64>,
    allow_backorder: Option<bool>,
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    safety_stock: Option<i64>,
}

/// A level to create.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "sku": "CUP-1", "storeId": "main", "initialQuantity": 10 }))]
pub(crate) struct CreateRequest {
    #[schema(min_length = 1, max_length = 128)]
    sku: String,
    #[schema(min_length = 1, max_length = 128)]
    store_id: String,
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    initial_quantity: i64,
}

/// An adjustment. The header `If-Match` wins over `expectedVersion`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "delta": -3, "expectedVersion": 1 }))]
pub(crate) struct AdjustRequest {
    /// Units to add or take; not 0.
    #[schema(minimum = -2_147_483_647, maximum = 2_147_483_647)]
    delta: i64,
    expected_version: Option<u64>,
}

/// Units of one level to hold. The header `If-Match` wins over `expectedVersion`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({
    "qty": 2, "expectedVersion": 1, "ttlSeconds": 900, "orderId": "order-1",
}))]
pub(crate) struct ReserveRequest {
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    qty: i64,
    expected_version: Option<u64>,
    /// How long they are held; 900 unless given.
    #[schema(minimum = 1, maximum = 2_592_000)]
    ttl_seconds: Option<i64>,
    #[schema(min_length = 1, max_length = 128)]
    order_id: Option<String>,
}

/// Lines to hold, all or none.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({
    "orderId": "order-1", "ttlSeconds": 900, "lines": [{ "sku": "SHIRT-1", "storeId": "main", "qty": 2 }],
}))]
pub(crate) struct ReservationRequest {
    #[schema(min_length = 1, max_length = 128)]
    order_id: String,
    /// How long they are held; 900 unless given.
    #[schema(minimum = 1, maximum = 2_592_000)]
    ttl_seconds: Option<i64>,
    /// Lines of the same SKU and location are summed.
    #[schema(min_items = 1, max_items = 50)]
    lines: Vec<LineRequest>,
}

/// A line to hold.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct LineRequest {
    #[schema(min_length = 1, max_length = 128)]
    sku: String,
    #[schema(min_length = 1, max_length = 128)]
    store_id: String,
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    qty: i64,
}

/// A longer hold.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "ttlSeconds": 1800 }))]
pub(crate) struct ExtendRequest {
    /// From now on; never shorter than before.
    #[schema(minimum = 1, maximum = 2_592_000)]
    ttl_seconds: i64,
}
