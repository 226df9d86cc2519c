//! The endpoints of warehouses and conflicts, as callers should know them.

use evenstock_app::Scope;
use evenstock_runtime::http::Endpoint;
use utoipa::ToSchema;

use crate::warehouses::WarehouseJobBody;

const CURSOR: &str = "Where to go on: the `nextCursor` of the page before.";

/// A warehouse: `warehouseId`, `endpoint`, `hasApiKey`, `conflictPolicy`, `createdAt`, `updatedAt`.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
struct WarehouseBody(serde_json::Value);

/// How a warehouse is to be set up: `endpoint`, `apiKey` (absent: as it is, `null`: none), `conflictPolicy`
/// (`warehouse_wins`, `central_wins` or `manual`).
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
struct WarehouseSettingsBody(serde_json::Value);

/// What a warehouse and we said of a level (`warehouse`, `central`: `quantity`, `version`, `time`), the `policy`, and how it
/// was `resolved`.
/// With a central system that we push to, `warehouse` is our side and `central` is that system's.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
struct ConflictBody(serde_json::Value);

/// Whose number counts: `resolution` is `warehouse`, `central` or, with a `quantity`, `quantity`.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
struct ConflictResolutionBody(serde_json::Value);

/// Warehouses in the order in which they were claimed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
struct WarehouseListBody {
    items: Vec<WarehouseBody>,
    /// Where the next page begins; empty at the end.
    next_cursor: String,
}

/// Conflicts, oldest change first.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
struct ConflictListBody {
    items: Vec<ConflictBody>,
    /// Where the next page begins; empty at the end.
    next_cursor: String,
}

/// Describes the endpoints.
pub(crate) fn warehouse_endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/warehouses", "listWarehouses", "Lists the organization's warehouses.")
            .scope(Scope::Admin)
            .query("cursor", CURSOR)
            .answers::<WarehouseListBody>(200, "A page."),
        Endpoint::put("/warehouses/{warehouseId}", "setUpWarehouse", "Claims a warehouse, or sets it up again.")
            .scope(Scope::Admin)
            .body::<WarehouseSettingsBody>()
            .answers::<WarehouseBody>(200, "As it is set up now.")
            .refuses(&[409, 413]),
        Endpoint::post(
            "/sync/warehouses/{warehouseId}",
            "reconcileWarehouse",
            "Compares the warehouse's whole stock with ours and repairs what drifted.",
        )
        .scope(Scope::Admin)
        .idempotent()
        .answers::<WarehouseJobBody>(202, "The job that does it: a new one, or the one that runs already.")
        .refuses(&[404]),
        Endpoint::get("/sync/conflicts", "listConflicts", "Lists where warehouses and we disagree.")
            .scope(Scope::Admin)
            .query("status", "`open` or `resolved`; all of them unless named.")
            .query("cursor", CURSOR)
            .answers::<ConflictListBody>(200, "A page; it may be empty although there is another."),
        Endpoint::post("/sync/conflicts/{id}/resolve", "resolveConflict", "Settles a conflict, once.")
            .scope(Scope::Admin)
            .body::<ConflictResolutionBody>()
            .answers::<ConflictBody>(200, "Settled so.")
            .refuses(&[404, 409, 413]),
    ]
}
