//! The function's endpoints, as callers should know them.

use evenstock_app::Scope::{Read, Write};
use evenstock_runtime::http::{Endpoint, describe};
use utoipa::openapi::OpenApi;

use crate::list::LIMIT_MAX;
use crate::wire::{ImportedBody, OrderRow, OrdersBody, ReceiptRequest, RegisterRequest, RegisteredBody, StatusBody};

const TOKEN: &str = "The store's sync token.";

/// Describes the function.
pub fn openapi() -> OpenApi {
    let endpoints = [
        Endpoint::post(
            "/stores/register",
            "registerStore",
            "Registers a seller's account, or changes what is known of it.",
        )
        .scope(Write)
        .body::<RegisterRequest>()
        .idempotent()
        .answers::<RegisteredBody>(200, "Registered; the same names each time."),
        Endpoint::get("/stores/sync-status", "readSyncStatus", "Tells how a store's synchronization goes.")
            .scope(Read)
            .query("syncToken", TOKEN)
            .answers::<StatusBody>(200, "By the latest answers.")
            .refuses(&[404]),
        Endpoint::post("/orders/import", "importOrder", "Imports an order once, whoever asks at once.")
            .scope(Write)
            .body::<ReceiptRequest>()
            .idempotent()
            .answers::<ImportedBody>(200, "What the marketplace said, now or when it was first asked.")
            .refuses(&[404]),
        Endpoint::post("/orders/cancel", "cancelOrder", "Calls an order off: what it took is given back, once.")
            .scope(Write)
            .body::<ReceiptRequest>()
            .idempotent()
            .answers::<OrderRow>(200, "The receipt as it is now.")
            .refuses(&[404]),
        Endpoint::get("/orders", "listOrders", "Lists a store's receipts.")
            .scope(Read)
            .query("syncToken", TOKEN)
            .query("status", "Only receipts in this state.")
            .paged(LIMIT_MAX)
            .answers::<OrdersBody>(200, "A page.")
            .refuses(&[404]),
    ];
    describe("orders-api", endpoints)
}
