//! The function's endpoints, as callers should know them.

use evenstock_app::Scope;
use evenstock_runtime::http::{Endpoint, describe};
use utoipa::openapi::OpenApi;

use crate::audit::AuditBody;
use crate::keys::{CreatedKeyBody, KeysBody, NewKeyBody};
use crate::page::LIMIT_MAX;

/// Describes the function.
pub fn openapi() -> OpenApi {
    let endpoints = [
        Endpoint::post("/admin/keys", "createKey", "Makes an API key.")
            .scope(Scope::Admin)
            .idempotent()
            .body::<NewKeyBody>()
            .answers::<CreatedKeyBody>(201, "Made. The key is shown this once."),
        Endpoint::get("/admin/keys", "listKeys", "Lists the organization's keys.")
            .scope(Scope::Admin)
            .paged(LIMIT_MAX)
            .answers::<KeysBody>(200, "A page of them."),
        Endpoint::delete("/admin/keys/{id}", "revokeKey", "Withdraws a key. It works for a minute longer at most.")
            .scope(Scope::Admin)
            .answers_nothing(204, "Withdrawn, now or before.")
            .refuses(&[404]),
        Endpoint::get("/admin/audit", "readAudit", "Tells what administrators did, newest first.")
            .scope(Scope::Admin)
            .paged(LIMIT_MAX)
            .answers::<AuditBody>(200, "A page of the log."),
    ];
    describe("admin-api", endpoints)
}
