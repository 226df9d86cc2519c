//! What we tell and ask a central system, and what its answers come to.

use core::time::Duration;

use evenstock_app::{CentralAnswer, CentralError, CentralStock, CentralUpdate};
use evenstock_domain::{Guard, Holding, LocationId, Sku};
use rstest::rstest;
use serde_json::{Value, json};
use wiremock::matchers::{body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::HttpCentral;
use crate::SystemLookup;

const NEAR: Guard = Guard { allow_private: true };

fn central(url: &str) -> HttpCentral {
    HttpCentral::new(url, "central-key", NEAR, SystemLookup, Duration::from_secs(2)).unwrap()
}

fn location() -> LocationId {
    LocationId::parse("shop 1").unwrap()
}

fn update(sku: &str, delta: i64) -> CentralUpdate {
    CentralUpdate { sku: Sku::parse(sku).unwrap(), delta, expected_version: 7, idempotency_key: format!("push-{sku}") }
}

/// What comes of two updates that are answered with this.
async fn pushed(answer: ResponseTemplate) -> Result<Vec<CentralAnswer>, CentralError> {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    central(&server.uri()).push(&location(), &[update("A", 1), update("B", -2)]).await
}

fn results(results: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "results": results, "summary": {} }))
}

#[tokio::test]
async fn updates_go_in_our_own_shape_with_the_key() {
    let server = MockServer::start().await;
    let expected = json!({ "storeId": "shop 1", "updates": [
        { "productId": "A/1", "delta": -3, "version": 7, "idempotencyKey": "push-A/1" },
    ] });
    let answer = json!([{ "productId": "A/1", "applied": true, "newQuantity": 2, "newVersion": 8 }]);
    Mock::given(method("POST"))
        .and(path("/api/inventory/updates"))
        .and(header("authorization", "Bearer central-key"))
        .and(body_json(expected))
        .respond_with(results(&answer))
        .expect(1)
        .mount(&server)
        .await;
    let answers = central(&format!("{}/api/", server.uri())).push(&location(), &[update("A/1", -3)]).await;
    assert_eq!(answers, Ok(vec![CentralAnswer::Applied { version: 8 }]));
}

#[rstest]
#[case::other_version("conflict", "stale")]
#[case::insufficient("unprocessable", "unprocessable")]
#[case::bad("bad_request", "rejected")]
#[case::unknown("not_found", "rejected")]
#[case::down("unavailable", "later")]
#[case::broken("internal", "later")]
#[tokio::test]
async fn each_update_is_answered_on_its_own(#[case] kind: &str, #[case] expected: &str) {
    let answer = json!([
        { "productId": "A", "applied": true, "newVersion": 8 },
        { "productId": "B", "applied": false, "errorType": kind, "errorMessage": "m".repeat(9000) },
    ]);
    let answers = pushed(results(&answer)).await.unwrap();
    assert_eq!(answers[0], CentralAnswer::Applied { version: 8 });
    let (shown, said) = match &answers[1] {
        CentralAnswer::Stale => ("stale", ""),
        CentralAnswer::Unprocessable(said) => ("unprocessable", said.as_str()),
        CentralAnswer::Rejected(said) => ("rejected", said.as_str()),
        CentralAnswer::Later(said) => ("later", said.as_str()),
        CentralAnswer::Applied { .. } => ("applied", ""),
    };
    assert_eq!(shown, expected);
    assert!(said.len() < 300, "messages are cut");
}

#[rstest]
#[case::fewer(results(&json!([{ "productId": "A", "applied": true, "newVersion": 8 }])))]
#[case::other_products(results(&json!([
    { "productId": "B", "applied": true, "newVersion": 8 }, { "productId": "A", "applied": true, "newVersion": 8 },
])))]
#[case::no_version(results(&json!([
    { "productId": "A", "applied": true }, { "productId": "B", "applied": true, "newVersion": 8 },
])))]
#[case::garbage(ResponseTemplate::new(200).set_body_string("<html>"))]
#[case::endless(ResponseTemplate::new(200).set_body_bytes(vec![b' '; 10 * 1024 * 1024]))]
#[case::redirect(ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:9/"))]
#[case::other_key(ResponseTemplate::new(401))]
#[case::down(ResponseTemplate::new(500))]
#[case::gone(ResponseTemplate::new(404))]
#[tokio::test]
async fn answer_that_says_nothing_of_each_update_is_none(#[case] answer: ResponseTemplate) {
    let error = pushed(answer).await.unwrap_err();
    assert!(error.counts_as_failure() && error.retry_after_seconds().is_none(), "{error}");
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
}

#[rstest]
#[case::limited(429, false)]
#[case::busy(503, true)]
#[tokio::test]
async fn wait_that_it_asks_for_is_told(#[case] status: u16, #[case] counts: bool) {
    let error = pushed(ResponseTemplate::new(status).insert_header("retry-after", "17")).await.unwrap_err();
    assert_eq!((error.retry_after_seconds(), error.counts_as_failure()), (Some(17), counts));
}

#[rstest]
#[case(400)]
#[case(413)]
#[tokio::test]
async fn request_that_it_does_not_want_is_rejected_whole(#[case] status: u16) {
    let answers = pushed(ResponseTemplate::new(status)).await.unwrap();
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|answer| matches!(answer, CentralAnswer::Rejected(_))));
}

#[tokio::test]
async fn level_is_asked_for_by_its_name_and_place() {
    let server = MockServer::start().await;
    let level = json!({ "productId": "A/1", "available": 0, "reserved": 1, "oversold": 4, "version": 9 });
    Mock::given(method("GET"))
        .and(path("/inventory/A%2F1"))
        .and(query_param("storeId", "shop 1"))
        .and(header("authorization", "Bearer central-key"))
        .respond_with(ResponseTemplate::new(200).set_body_json(level))
        .mount(&server)
        .await;
    let central = central(&server.uri());
    let holding = central.holding(&location(), &Sku::parse("A/1").unwrap()).await;
    assert_eq!(holding, Ok(Some(Holding { quantity: -4, version: 9 })));
    assert_eq!(central.holding(&location(), &Sku::parse("B").unwrap()).await, Ok(None), "404");
}

#[rstest]
#[case::plain("http://central.example")]
#[case::near("https://127.0.0.1")]
#[case::credentials("https://a:b@central.example")]
#[case::no_address("central")]
fn base_url_that_may_not_be_called_is_refused_at_start(#[case] url: &str) {
    let guard = Guard { allow_private: false };
    assert!(HttpCentral::new(url, "hunter2", guard, SystemLookup, Duration::from_secs(1)).is_err());
}

#[test]
fn key_is_not_shown() {
    let guard = Guard { allow_private: false };
    let central = HttpCentral::new("https://central.example", "hunter2", guard, SystemLookup, Duration::from_secs(1));
    assert!(!format!("{central:?}").contains("hunter2"));
}
