//! The endpoints of warehouses and conflicts, as callers should know them.

use evenstock_app::Scope;
use evenstock_runtime::http::Endpoint;

use crate::warehouse_wire::{
    ConflictBody, ConflictListBody, ConflictResolutionBody, WarehouseBody, WarehouseJobBody, WarehouseListBody,
    WarehouseSettingsBody,
};

const CURSOR: &str = "Where to go on: the `nextCursor` of the page before.";

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
