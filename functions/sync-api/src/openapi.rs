//! The function's endpoints, as callers should know them.

use evenstock_app::Scope;
use evenstock_runtime::http::{Endpoint, describe};
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;

use crate::warehouse_openapi::warehouse_endpoints;
use crate::{HealthBody, PollQueuedBody, UnhealthyBody};

/// An OpenAPI 3.1 document: this one.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
struct OpenApiDocument(serde_json::Value);

/// Describes the function.
pub fn openapi() -> OpenApi {
    let endpoints = [
        Endpoint::get("/health", "readHealth", "Tells whether every part answers.")
            .answers::<HealthBody>(200, "All do.")
            .answers::<UnhealthyBody>(503, "One does not."),
        Endpoint::get("/openapi.json", "readDescription", "Describes every endpoint.")
            .header("If-None-Match", "Entity tags of documents that need not be sent again.")
            .tagged()
            .answers::<OpenApiDocument>(200, "The document.")
            .answers_nothing(304, "It is still the same."),
        Endpoint::post("/trigger-poll", "triggerPoll", "Polls the marketplace now.")
            .scope(Scope::Admin)
            .idempotent()
            .answers::<PollQueuedBody>(202, "On the queue.")
            .refuses(&[413]),
    ];
    describe("sync-api", endpoints.into_iter().chain(warehouse_endpoints()))
}
