//! The function's endpoints, as callers should know them.

use evenstock_app::Scope::Read;
use evenstock_runtime::http::{Endpoint, describe};
use utoipa::openapi::OpenApi;

use crate::changes::{ChangesBody, LIMIT_MAX, LONG_POLL_SECONDS_MAX};
use crate::snapshot::SnapshotBody;

/// Describes the function.
pub fn openapi() -> OpenApi {
    let endpoints = [
        Endpoint::get("/replication/snapshot", "readSnapshot", "Copies all levels, page by page.")
            .scope(Read)
            .query("cursor", "Where the copy goes on: the `nextCursor` of the page before.")
            .answers::<SnapshotBody>(200, "A page. `lastOffset` is the same on each; follow the changes from it."),
        Endpoint::get("/replication/changes", "readChanges", "Reads what changed since, in order.")
            .scope(Read)
            .query("fromOffset", "Required. The number of the last change that the caller has; 0 before the first.")
            .query_number("limit", "Changes at most; 500 unless named.", (1, LIMIT_MAX))
            .query_number("longPollSeconds", "How long to wait for a change at most.", (0, LONG_POLL_SECONDS_MAX))
            .answers::<ChangesBody>(200, "Changes in order; none when there are none yet.")
            .refuses(&[410]),
    ];
    describe("replication-api", endpoints)
}
