//! The function's endpoints, as callers should know them.

use evenstock_app::Scope::{Read, Write};
use evenstock_runtime::http::{Endpoint, describe};
use utoipa::openapi::OpenApi;

use crate::history::HistoryBody;
use crate::policy::PolicyBody;
use crate::read::LIMIT_MAX;
use crate::records::{AdjustedBody, CreatedBody, RecordBody};
use crate::requests::{
    AdjustRequest, CreateRequest, ExtendRequest, PolicyRequest, ReservationRequest, ReserveRequest, SyncRequest,
    UpdateListRequest, UpdateRequest,
};
use crate::reservation_wire::{HeldBody, ReservationBody};
use crate::reserve::ReservedBody;
use crate::sync::SyncBody;
use crate::wire::{GlobalBody, ListBody, ProductBody, UpdateAnswer};

const STORE: &str = "One location; all of them unless named.";
const IF_MATCH: &str = "The version seen last, such as `\"3\"` or `3`, or `*`. Wins over `expectedVersion`.";

/// Describes the function.
pub fn openapi() -> OpenApi {
    let [inventory, records, reservations] = [inventory(), records(), reservations()];
    describe("inventory-api", inventory.into_iter().chain(records).chain(reservations))
}

fn inventory() -> Vec<Endpoint> {
    let (product, policy) = ("/inventory/{productId}", "/inventory/{productId}/policy");
    vec![
        Endpoint::post("/inventory/updates", "updateInventory", "Changes stock by a delta, exactly once.")
            .scope(Write)
            .body_of::<UpdateRequest, UpdateListRequest>()
            .idempotent()
            .answers::<UpdateAnswer>(200, "Applied; of a list, what became of each.")
            .refuses(&[409, 422]),
        Endpoint::post("/inventory/sync", "syncInventory", "Sets a location's stock as its own books have it.")
            .scope(Write)
            .body::<SyncRequest>()
            .idempotent()
            .answers::<SyncBody>(200, "How many levels came to what."),
        Endpoint::get("/inventory", "listInventory", "Lists all levels.")
            .scope(Read)
            .paged(LIMIT_MAX)
            .answers::<ListBody>(200, "A page."),
        Endpoint::get(product, "readInventory", "Reads a product at one location, or summed over all.")
            .scope(Read)
            .query("storeId", STORE)
            .answers::<ProductBody>(200, "The product.")
            .refuses(&[404]),
        Endpoint::get("/inventory/global/{productId}", "readEverywhere", "Reads a product at each location.")
            .scope(Read)
            .answers::<GlobalBody>(200, "The product.")
            .refuses(&[404]),
        Endpoint::get("/inventory/{productId}/history", "readHistory", "Lists a level's changes, newest first.")
            .scope(Read)
            .query("storeId", "The location; needed when there are several.")
            .paged(LIMIT_MAX)
            .answers::<HistoryBody>(200, "A page.")
            .refuses(&[404]),
        Endpoint::get(policy, "readPolicy", "Reads the policy at one location, or at each.")
            .scope(Read)
            .query("storeId", STORE)
            .answers::<PolicyBody>(200, "The policy.")
            .refuses(&[404]),
        Endpoint::put(policy, "changePolicy", "Changes the policy at one location, or at each.")
            .scope(Write)
            .body::<PolicyRequest>()
            .answers::<PolicyBody>(200, "The policy after it.")
            .refuses(&[404]),
    ]
}

fn records() -> Vec<Endpoint> {
    let record = "/api/inventory/stores/{storeId}/inventory/{sku}";
    vec![
        Endpoint::post("/api/inventory", "createRecord", "Creates a level that is not there yet.")
            .scope(Write)
            .body::<CreateRequest>()
            .idempotent()
            .tagged()
            .answers::<CreatedBody>(201, "Created.")
            .refuses(&[409]),
        Endpoint::get(record, "readRecord", "Reads a level.")
            .scope(Read)
            .header("If-None-Match", "Entity tags of versions that need not be sent again.")
            .tagged()
            .answers::<RecordBody>(200, "The level.")
            .answers_nothing(304, "It still has this version.")
            .refuses(&[404]),
        Endpoint::post("/api/inventory/stores/{storeId}/inventory/{sku}/adjust", "adjustRecord", "Changes a level.")
            .scope(Write)
            .header("If-Match", IF_MATCH)
            .body::<AdjustRequest>()
            .idempotent()
            .tagged()
            .answers::<AdjustedBody>(200, "Applied.")
            .refuses(&[404, 409, 422]),
        Endpoint::post("/api/inventory/stores/{storeId}/inventory/{sku}/reserve", "reserveRecord", "Holds units.")
            .scope(Write)
            .header("If-Match", IF_MATCH)
            .body::<ReserveRequest>()
            .idempotent()
            .tagged()
            .answers::<ReservedBody>(201, "Held.")
            .refuses(&[404, 409, 422]),
    ]
}

fn reservations() -> Vec<Endpoint> {
    let ended = |path, id, summary| {
        Endpoint::post(path, id, summary)
            .scope(Write)
            .idempotent()
            .answers::<ReservationBody>(200, "The reservation as it stands now.")
            .refuses(&[404, 409])
    };
    vec![
        Endpoint::post("/reservations", "createReservation", "Holds all lines of an order, or none.")
            .scope(Write)
            .body::<ReservationRequest>()
            .idempotent()
            .answers::<HeldBody>(201, "All are held.")
            .refuses(&[422]),
        Endpoint::get("/reservations/{id}", "readReservation", "Reads a reservation.")
            .scope(Read)
            .answers::<ReservationBody>(200, "The reservation.")
            .refuses(&[404]),
        ended("/reservations/{id}/release", "releaseReservation", "Gives the units back."),
        ended("/reservations/{id}/fulfil", "fulfilReservation", "Says that the units left the shelf."),
        ended("/reservations/{id}/extend", "extendReservation", "Holds the units longer.").body::<ExtendRequest>(),
    ]
}
