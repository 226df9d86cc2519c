//! Where deliveries go and what their senders are told.

use std::collections::HashSet;

use axum::body::Body;
use axum::http::Request;
use evenstock_app::ChangeBody;
use evenstock_runtime::http::restore_path;
use rstest::rstest;
use serde_json::json;

use crate::{BODY, CONTRACT, Function, PATH, body_with, signed};

#[tokio::test]
async fn delivery_through_the_gateway_becomes_one_message() {
    let function = Function::new();
    let event = include_str!("../../../../events/webhook.json");
    let reply = CONTRACT.ask(&function.router, restore_path(lambda_http::request::from_str(event).unwrap())).await;
    let queued = function.queued();
    assert_eq!(queued.len(), 1);
    let change = &queued[0];
    let data = json!({ "jobId": change.job_id, "productId": "SKU-1" });
    assert_eq!(reply.status, 202);
    assert_eq!(reply.body, json!({ "success": true, "message": "accepted", "data": data }));
    assert_eq!(
        (change.organization.as_str(), change.sku.as_str(), change.location.as_str(), change.source.as_str()),
        ("demo", "SKU-1", "main", "marketplace-a/default")
    );
    assert_eq!(change.time, "2026-11-20T08:00:00.000Z");
    assert_eq!(change.change, ChangeBody::CountAvailable { quantity: 7, sequence: 0 });
}

#[tokio::test]
async fn organization_of_the_store_owns_what_it_delivers() {
    let mut environment = vec![("MARKETPLACE_A_SECRET", "secret"), ("DEFAULT_ORGANIZATION", "shop #1")];
    let read = |environment: &[(&str, &str)]| evenstock_webhook::connections(&environment.iter().copied().collect());
    assert_eq!(read(&environment).unwrap()[0].organization.as_str(), "shop #1");
    environment[1].1 = " ";
    assert!(read(&environment).is_err());
}

#[tokio::test]
async fn same_body_again_is_another_job_of_the_same_event() {
    let function = Function::new();
    for _ in 0..200 {
        assert_eq!(function.deliver_signed(BODY).await.status, 202);
    }
    let queued = function.queued();
    let jobs: HashSet<_> = queued.iter().map(|change| &change.job_id).collect();
    let events: HashSet<_> = queued.iter().map(|change| &change.event_id).collect();
    assert_eq!((queued.len(), jobs.len(), events.len()), (200, 200, 1));
    assert_eq!(function.deliver_signed(body_with("available_stock", 8)).await.status, 202);
    assert_ne!(function.queued()[200].event_id, queued[0].event_id);
}

#[rstest]
#[case::default_store("/ingest/marketplace-a/default", 202)]
#[case::polled_channel("/ingest/marketplace-b/default", 404)]
#[case::unknown_channel("/ingest/marketplace-z/default", 404)]
#[case::unknown_store("/ingest/marketplace-a/nobody", 404)]
#[case::other_case("/ingest/Marketplace-A/default", 404)]
#[case::no_store("/ingest/marketplace-a", 404)]
#[case::no_store_but_a_slash("/ingest/marketplace-a/", 404)]
#[case::one_part_too_many("/ingest/marketplace-a/default/x", 404)]
#[case::trailing_slash("/webhooks/marketplace-a/", 404)]
#[case::not_utf_8("/ingest/marketplace-a/%FF", 400)]
#[tokio::test]
async fn only_known_stores_deliver(#[case] path: &str, #[case] status: u16) {
    let function = Function::new();
    let reply = function.deliver(path, BODY, signed("secret", BODY.as_bytes())).await;
    assert_eq!(reply.status, status);
    assert_eq!(function.queued().len(), usize::from(status == 202));
    if status != 202 {
        assert_eq!(reply.refusal(), (status, if status == 404 { "not_found" } else { "bad_request" }));
    }
}

#[rstest]
#[case::get("GET", PATH)]
#[case::get_of_a_named_store("GET", "/ingest/marketplace-a/default")]
#[case::put("PUT", PATH)]
#[case::delete("DELETE", PATH)]
#[tokio::test]
async fn only_post_delivers(#[case] method: &str, #[case] path: &str) {
    let request = Request::builder().method(method).uri(path).body(Body::from(BODY)).unwrap();
    let reply = CONTRACT.ask(&Function::new().router, request).await;
    assert_eq!(reply.refusal(), (405, "bad_request"));
    assert_eq!(reply.header("allow"), Some("POST"));
}

#[tokio::test]
async fn delivery_that_cannot_be_queued_is_not_acknowledged() {
    let function = Function::new();
    function.intake.queue.set_down(true);
    let reply = function.deliver_signed(BODY).await;
    assert_eq!(reply.refusal(), (503, "unavailable"));
    assert!(!reply.text.contains("queue"), "the cause is ours to know: {}", reply.text);
    function.intake.queue.set_down(false);
    assert_eq!(function.queued(), []);
    assert_eq!(function.deliver_signed(BODY).await.status, 202);
}

#[rstest]
#[case::usable("Root=1-6a8f1c00-0123", true)]
#[case::with_space("two words", false)]
#[case::too_long(&"x".repeat(129), false)]
#[tokio::test]
async fn request_id_is_the_callers_when_it_is_usable(#[case] id: &str, #[case] kept: bool) {
    let function = Function::new();
    for (body, status) in [(BODY, 202), ("{}", 400)] {
        let request = Request::post(PATH).header("x-request-id", id);
        let request = request.header("x-marketplace-signature", signed("secret", body.as_bytes()));
        let reply = CONTRACT.ask(&function.router, request.body(Body::from(body)).unwrap()).await;
        assert_eq!((reply.status, reply.header("x-request-id") == Some(id)), (status, kept));
    }
}
