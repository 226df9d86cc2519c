//! `receiver`: an endpoint to be called back on this machine. It checks the signature, prints each delivery as a line of
//! JSON, and fails when it is told to.

use std::io::{Write, stdout};
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use clap::Args;
use evenstock_app::Clock;
use evenstock_channels::{ReceivedHeaders, SigningKey};
use evenstock_runtime::SystemClock;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::CommandError;

/// How it answers.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReceiverArgs {
    /// Port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 4000)]
    port: u16,
    /// A secret that deliveries are signed with; may be given several times. Without one, nothing is verified.
    #[arg(long, env = "WEBHOOK_SECRET", hide_env_values = true, value_parser = SigningKey::parse)]
    secret: Vec<SigningKey>,
    /// Answer every delivery with 500.
    #[arg(long)]
    fail: bool,
    /// Answer this share of the deliveries with 500, from 0 to 1.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    fail_rate: f64,
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "must be from 0 to 1".to_owned())
}

/// Serves until Ctrl-C.
pub(crate) async fn receiver(args: &ReceiverArgs) -> Result<bool, CommandError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await?;
    writeln!(stdout().lock(), "ready http://{}", listener.local_addr()?)?;
    let receive = Router::new().fallback(receive).with_state(Arc::new(args.clone()));
    axum::serve(listener, receive).await?;
    Ok(true)
}

async fn receive(State(args): State<Arc<ReceiverArgs>>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let content: Value = serde_json::from_slice(&body).unwrap_or_default();
    let fails = args.fail
        || text("x-fail") == Some("true")
        || names_failing_receipt(&content)
        || fastrand::f64() < args.fail_rate;
    let status = if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    let line = json!({
        "log": "webhook_received",
        "webhookId": text("webhook-id"),
        "verified": verified(&args.secret, &headers, &body),
        "answered": status.as_u16(),
        "body": content,
    });
    match writeln!(stdout().lock(), "{line}") {
        Ok(()) => status.into_response(),
        // What cannot be shown was not received.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether the delivery is about a receipt that ends in 5, which document 2's own receiver refuses.
fn names_failing_receipt(content: &Value) -> bool {
    ["/receipt", "/data/receipt"]
        .iter()
        .any(|place| content.pointer(place).and_then(Value::as_str).is_some_and(|receipt| receipt.ends_with('5')))
}

/// Whether one of the secrets signed the delivery; `None` when there is none to check with.
fn verified(secrets: &[SigningKey], headers: &HeaderMap, body: &[u8]) -> Option<bool> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let received = ReceivedHeaders {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signature: text("webhook-signature"),
    };
    let now = SystemClock.now();
    (!secrets.is_empty()).then(|| secrets.iter().any(|secret| secret.verify(received, body, now).is_ok()))
}
