//! The HTTP functions, all of them on one port: each operation that is described, asked with bodies, paths and queries
//! made worse.

use core::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::hold;
use crate::hostile::worse;
use crate::sample::{Document, Operation};
use crate::support::{Runner, sign};

/// The greatest limit of a body is a mebibyte, the webhook's.
const TOO_LONG: usize = 1024 * 1024 + 1;

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// No operation has a greater answer to one hostile request.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

fn method(operation: &Operation) -> Method {
    operation.method.to_uppercase().parse().unwrap()
}

/// The path with this in place of each of its parameters.
fn filled(path: &str, with: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { with.to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Whatever was asked: an answer, never one that blames ourselves, and an error that says its kind.
async fn judged(asked: &str, answer: Result<Response, reqwest::Error>) -> Result<u16, TestCaseError> {
    let answer = answer.map_err(|error| TestCaseError::fail(format!("{asked}: no answer: {error}")))?;
    let (status, id) = (answer.status().as_u16(), answer.headers().contains_key("x-request-id"));
    let json =
        answer.headers().get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let body = answer.bytes().await.map_err(|error| TestCaseError::fail(format!("{asked}: {error}")))?;
    prop_assert!(body.len() <= ANSWER_BYTES_MAX, "{asked}: {} bytes of answer", body.len());
    let text = String::from_utf8_lossy(&body);
    prop_assert!(status != 500, "{asked}: {text}");
    if status >= 400 {
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        prop_assert!(json && id && body["code"].is_string(), "{asked}: {status} {text}");
    }
    Ok(status)
}

fn running() -> (Runtime, Runner) {
    let runtime = Runtime::new().unwrap();
    let runner = runtime.block_on(Runner::ephemeral());
    (runtime, runner)
}

#[test]
fn body_of_anything_is_taken_or_refused_by_its_kind() {
    let (runtime, runner) = running();
    let operations = Document::served().operations().into_iter().filter(|operation| !operation.bodies.is_empty());
    let cases = select(operations.collect::<Vec<_>>()).prop_flat_map(|operation| {
        let bodies = worse(operation.bodies.clone());
        (Just(operation), bodies, select(vec!["SKU-1", "main", "x1", "etsy", "marketplace-a", "0"]))
    });
    hold(768, &cases, |(operation, body, name)| {
        let path = filled(&operation.path, name);
        let asked = format!("{} {path}", operation.method);
        let request = runner
            .request(method(&operation), &path)
            .header("content-type", "application/json")
            .header("x-marketplace-signature", sign(&body.text()))
            .timeout(PATIENCE)
            .body(body.text());
        runtime.block_on(async { judged(&asked, request.send().await).await.map(|_| ()) })
    });
}

#[test]
fn path_and_query_of_anything_are_taken_or_refused_by_their_kind() {
    let (runtime, runner) = running();
    let piece = || {
        prop_oneof![
            Just(String::new()),
            any::<String>(),
            "[A-Za-z0-9_=-]{1,80}",
            any::<i64>().prop_map(|number| number.to_string()),
            (1_usize..3000).prop_map(|length| "A".repeat(length)),
            select(vec!["..", ".", "%00", "%2F", "%", "%ff", "a#b", "a/b", "18446744073709551616", "-0", "1e3"])
                .prop_map(str::to_owned),
        ]
    };
    // The streams of server-sent events have no end by design; asked for JSON they answer at once.
    let operations = Document::served().operations().into_iter().filter(|operation| operation.bodies.is_empty());
    let cases = select(operations.collect::<Vec<_>>()).prop_flat_map(move |operation| {
        let values = proptest::collection::vec(proptest::option::of(piece()), operation.query.len());
        (Just(operation), piece(), values)
    });
    hold(768, &cases, |(operation, name, values)| {
        let path = filled(&operation.path, &percent_encoded(&name));
        let asked = format!("{} {path} {values:?}", operation.method);
        let query: Vec<_> =
            operation.query.iter().zip(values).filter_map(|(name, value)| Some((name, value?))).collect();
        let request = runner.request(method(&operation), &path).timeout(PATIENCE).query(&query);
        runtime.block_on(async { judged(&asked, request.send().await).await.map(|_| ()) })
    });
}

/// Every byte that is not a letter or digit, so that a name of anything is one part of a path.
fn percent_encoded(name: &str) -> String {
    let byte =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let name: String = name.chars().take(400).collect();
    if name.is_empty() { "x1".to_owned() } else { name.bytes().map(byte).collect() }
}

#[test]
fn body_beyond_every_limit_is_refused_and_not_read() {
    let (runtime, runner) = running();
    // A store or marketplace that nobody knows is refused before its body is read, and the sender may meet a closed door.
    let unread = |path: &str| path.starts_with("/ingest/") || path.starts_with("/mock/");
    let reads = |operation: &Operation| !operation.bodies.is_empty() && !unread(&operation.path);
    for operation in Document::served().operations().into_iter().filter(reads) {
        let path = filled(&operation.path, "nobody");
        let body = format!("{{\"a\":\"{}\"}}", "x".repeat(TOO_LONG));
        let request = runner
            .request(method(&operation), &path)
            .header("content-type", "application/json")
            .header("x-marketplace-signature", sign(&body))
            .timeout(PATIENCE)
            .body(body);
        // Whoever goes on sending after the answer may meet a closed door instead of it; the runner itself must live on.
        if let Ok(answer) = runtime.block_on(async { request.send().await }) {
            assert_eq!(answer.status(), 413, "{} {path}", operation.method);
        }
    }
    assert_eq!(runtime.block_on(runner.get("/health")).0, 200);
}

#[test]
fn depth_costs_no_stack() {
    let (runtime, runner) = running();
    for operation in Document::served().operations().into_iter().filter(|operation| !operation.bodies.is_empty()) {
        for body in ["[".repeat(15_000), format!("{{\"storeId\":{}{}}}", "[".repeat(7_000), "]".repeat(7_000))] {
            let path = filled(&operation.path, "marketplace-a");
            let request = runner
                .request(method(&operation), &path)
                .header("content-type", "application/json")
                .header("x-marketplace-signature", sign(&body))
                .timeout(PATIENCE)
                .body(body);
            let status = runtime.block_on(async { judged(&path, request.send().await).await }).unwrap();
            assert!((400..500).contains(&status), "{} {path}: {status}", operation.method);
        }
    }
}
