//! Who is believed: only a signature of the raw bytes under an active secret.

use axum::body::Body;
use axum::http::Request;
use evenstock_runtime::{ConfigError, Environment};
use evenstock_webhook::connections;
use rstest::rstest;

use crate::{BODY, CONTRACT, Function, PATH, signed};

#[rstest]
#[case::of_another_secret(&signed("other", BODY.as_bytes()))]
#[case::of_another_body(&signed("secret", b"{}"))]
#[case::short(&signed("secret", BODY.as_bytes())[..62])]
#[case::odd_length(&signed("secret", BODY.as_bytes())[..63])]
#[case::too_long(&format!("{}00", signed("secret", BODY.as_bytes())))]
#[case::not_hexadecimal(&signed("secret", BODY.as_bytes()).replace(|digit: char| digit.is_ascii_digit(), "g"))]
#[case::with_scheme(&format!("sha256={}", signed("secret", BODY.as_bytes())))]
#[case::not_ascii(&"é".repeat(32))]
#[case::zeros(&"0".repeat(64))]
#[case::empty("")]
#[tokio::test]
async fn wrong_signature_is_unauthorized(#[case] signature: &str) {
    let function = Function::new();
    let reply = function.deliver(PATH, BODY, signature).await;
    assert_eq!(reply.refusal(), (401, "unauthorized"));
    assert_eq!(function.queued(), []);
}

#[tokio::test]
async fn missing_signature_is_answered_like_a_wrong_one() {
    let function = Function::new();
    let missing = CONTRACT.ask(&function.router, Request::post(PATH).body(Body::from(BODY)).unwrap()).await;
    assert_eq!(missing.refusal(), (401, "unauthorized"));
    let wrong = function.deliver(PATH, BODY, signed("other", BODY.as_bytes())).await;
    assert_eq!(missing.body["message"], wrong.body["message"]);
    assert_eq!(function.queued(), []);
}

#[tokio::test]
async fn signature_is_of_the_raw_bytes_not_of_their_meaning() {
    let function = Function::new();
    let spaced = BODY.replace("\":", "\" : ").replace(',', " ,\n  ");
    assert_eq!(function.deliver_signed(&spaced).await.status, 202);
    let compact_signature = signed("secret", BODY.as_bytes());
    assert_eq!(function.deliver(PATH, &spaced, &compact_signature).await.refusal(), (401, "unauthorized"));
    assert_eq!(function.deliver(PATH, BODY, compact_signature.to_uppercase()).await.status, 202);
}

#[tokio::test]
async fn signature_is_checked_before_the_body_is_read() {
    let function = Function::new();
    let reply = function.deliver(PATH, "not json", signed("other", b"not json")).await;
    assert_eq!(reply.refusal(), (401, "unauthorized"));
}

#[tokio::test]
async fn every_active_secret_signs_while_one_is_replaced() {
    let function = Function::with_secrets("old, new");
    for (secret, status) in [("old", 202), ("new", 202), ("older", 401), ("old, new", 401), ("", 401)] {
        assert_eq!(function.deliver(PATH, BODY, signed(secret, BODY.as_bytes())).await.status, status, "{secret}");
    }
}

#[test]
fn start_without_a_usable_secret_fails_and_names_the_variable() {
    let start = |secret: &str| connections(&[("MARKETPLACE_A_SECRET", secret)].into_iter().collect::<Environment>());
    assert_eq!(start("").unwrap_err(), ConfigError::Missing("MARKETPLACE_A_SECRET"));
    for secrets in ["hunter2,", ",hunter2", "hunter2,,hunter3", " "] {
        let error = start(secrets).unwrap_err().to_string();
        assert!(error.contains("MARKETPLACE_A_SECRET") && !error.contains("hunter"), "{error}");
    }
}

#[tokio::test]
async fn secrets_do_not_show_in_debug() {
    let function = Function::with_secrets("hunter2,hunter3");
    let shown = format!("{:?} {:#?}", function.intake, function.intake);
    assert!(shown.contains("marketplace-a") && !shown.contains("hunter"), "{shown}");
    assert!(!shown.contains("104, 117, 110"), "nor as bytes: {shown}");
}
