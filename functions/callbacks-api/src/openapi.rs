//! The function's endpoints, as callers should know them.

use evenstock_app::Scope::{Read, Write};
use evenstock_runtime::http::{Endpoint, describe};
use utoipa::openapi::OpenApi;

use crate::wire::{
    ChangeRequest, DeliveriesBody, EndpointBody, EndpointRequest, QueuedBody, RegisteredEndpointBody, ReplayRequest,
    SecretBody,
};

/// Describes the function.
pub fn openapi() -> OpenApi {
    let one = "/webhooks/{id}";
    let endpoints = [
        Endpoint::post("/webhooks/register", "registerEndpoint", "Registers where to be told what happens.")
            .scope(Write)
            .body::<EndpointRequest>()
            .idempotent()
            .answers::<RegisteredEndpointBody>(200, "Registered now, with its secret, or before, without."),
        Endpoint::get("/webhooks", "listEndpoints", "Lists an organization's endpoints.")
            .scope(Read)
            .query("organizationId", "The key's own organization unless named.")
            .answers::<Vec<EndpointBody>>(200, "All of them."),
        Endpoint::get(one, "readEndpoint", "Reads an endpoint.")
            .scope(Read)
            .answers::<EndpointBody>(200, "The endpoint.")
            .refuses(&[404]),
        Endpoint::patch(one, "changeEndpoint", "Changes an endpoint, or switches it on or off.")
            .scope(Write)
            .body::<ChangeRequest>()
            .answers::<EndpointBody>(200, "The endpoint after it.")
            .refuses(&[404, 409]),
        Endpoint::delete(one, "removeEndpoint", "Removes an endpoint.")
            .scope(Write)
            .answers_nothing(204, "It is gone.")
            .refuses(&[404]),
        Endpoint::post("/webhooks/{id}/rotate-secret", "rotateSecret", "Replaces an endpoint's secret.")
            .scope(Write)
            .idempotent()
            .answers::<SecretBody>(200, "The new secret; both sign for a day.")
            .refuses(&[404]),
        Endpoint::post("/webhooks/{id}/test", "testEndpoint", "Sends a test event.")
            .scope(Write)
            .idempotent()
            .answers::<QueuedBody>(202, "It will be sent.")
            .refuses(&[404, 409]),
        Endpoint::post("/webhooks/{id}/replay", "replayEndpoint", "Delivers again what failed since a time.")
            .scope(Write)
            .body::<ReplayRequest>()
            .idempotent()
            .answers::<QueuedBody>(202, "How many so far.")
            .refuses(&[404, 409]),
        Endpoint::post(
            "/webhooks/deliveries/{id}/replay",
            "replayDelivery",
            "Delivers one event again, whether it failed or arrived.",
        )
        .scope(Write)
        .idempotent()
        .answers::<QueuedBody>(202, "It will be sent.")
        .refuses(&[404, 409]),
        Endpoint::get("/webhooks/{id}/deliveries", "listDeliveries", "Lists what became of deliveries.")
            .scope(Read)
            .query("status", "`pending`, `succeeded` or `failed`; all of them unless named.")
            .query("cursor", "Where the listing goes on: the `nextCursor` of the page before.")
            .answers::<DeliveriesBody>(200, "A page.")
            .refuses(&[404]),
    ];
    describe("callbacks-api", endpoints)
}
