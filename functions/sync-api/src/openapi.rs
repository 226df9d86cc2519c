//! The function's endpoints, as callers should know them.

use evenstock_app::Scope;
use evenstock_runtime::http::{Endpoint, describe};
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;

use crate::health::{AliveBody, HealthBody, ReadyBody, UnhealthyBody};
use crate::job_wire::{JobAnswer, JobBody, JobListBody, QueuedJobBody};
use crate::jobs::LIMIT_MAX;
use crate::metrics::{MetricsBody, ResetBody};
use crate::switch::{StartRequest, SwitchStatusBody, SwitchedBody};
use crate::warehouse_openapi::warehouse_endpoints;

/// An OpenAPI 3.1 document: this one.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
struct OpenApiDocument(serde_json::Value);

/// Describes the function.
pub fn openapi() -> OpenApi {
    let endpoints = open().into_iter().chain(jobs()).chain(switch()).chain(metrics()).chain(warehouse_endpoints());
    describe("sync-api", endpoints)
}

fn open() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/health", "readHealth", "Tells whether every part answers.")
            .answers::<HealthBody>(200, "All do.")
            .answers::<UnhealthyBody>(503, "One does not."),
        Endpoint::get("/openapi.json", "readDescription", "Describes every endpoint.")
            .header("If-None-Match", "Entity tags of documents that need not be sent again.")
            .tagged()
            .answers::<OpenApiDocument>(200, "The document.")
            .answers_nothing(304, "It is still the same."),
        Endpoint::get("/api/health", "readAlive", "Tells whether the process runs.")
            .answers::<AliveBody>(200, "It does."),
        Endpoint::get("/api/health/liveness", "readLiveness", "Tells whether the process runs.")
            .answers::<AliveBody>(200, "It does."),
        Endpoint::get("/api/health/readiness", "readReadiness", "Tells whether requests can be served.")
            .answers::<ReadyBody>(200, "They can.")
            .answers::<ReadyBody>(503, "They cannot: the store or the queue does not answer."),
    ]
}

fn jobs() -> Vec<Endpoint> {
    vec![
        Endpoint::post("/trigger-poll", "triggerPoll", "Polls the marketplace now.")
            .scope(Scope::Admin)
            .idempotent()
            .answers::<JobAnswer>(202, "The job: a new one, or the one that polls already.")
            .refuses(&[413]),
        Endpoint::post("/sync/trigger", "triggerSync", "Synchronizes everything now.")
            .scope(Scope::Admin)
            .idempotent()
            .answers::<QueuedJobBody>(202, "The job: a new one, or the one that runs already.")
            .refuses(&[413]),
        Endpoint::post("/api/sync", "syncAndWait", "Synchronizes everything now, and waits for it up to 20 s.")
            .scope(Scope::Admin)
            .idempotent()
            .answers::<JobAnswer>(200, "It has ended; `success` says how.")
            .answers::<JobAnswer>(202, "It goes on.")
            .refuses(&[413]),
        Endpoint::get("/sync/status/{jobId}", "readJob", "Tells how far a job has come.")
            .scope(Scope::Admin)
            .answers::<JobBody>(200, "The job.")
            .refuses(&[404]),
        Endpoint::get("/sync/jobs", "listJobs", "Lists jobs, newest first.")
            .scope(Scope::Admin)
            .paged(LIMIT_MAX)
            .answers::<JobListBody>(200, "A page of them."),
    ]
}

fn switch() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/sync/status", "readSync", "Tells whether the periodic sync is on, and when it runs.")
            .scope(Scope::Admin)
            .answers::<SwitchStatusBody>(200, "The switch."),
        Endpoint::post("/api/sync/start", "startSync", "Switches the periodic sync on.")
            .scope(Scope::Admin)
            .optional_body::<StartRequest>()
            .answers::<SwitchedBody>(200, "It is on, and runs at the schedule's next tick."),
        Endpoint::post("/api/sync/stop", "stopSync", "Switches the periodic sync off. What runs already goes on.")
            .scope(Scope::Admin)
            .answers::<SwitchedBody>(200, "It is off."),
    ]
}

fn metrics() -> Vec<Endpoint> {
    let about = "What this deployment did, and how it stands. `Accept: text/plain` gets Prometheus' text format.";
    vec![
        Endpoint::get("/api/metrics", "readMetrics", about)
            .scope(Scope::Read)
            .answers::<MetricsBody>(200, "The metrics."),
        Endpoint::get("/api/health/metrics", "readHealthMetrics", about)
            .scope(Scope::Read)
            .answers::<MetricsBody>(200, "The metrics."),
        Endpoint::post("/api/metrics/reset", "resetMetrics", "Sets all counters back; not in production.")
            .scope(Scope::Admin)
            .answers::<ResetBody>(200, "They are."),
    ]
}
