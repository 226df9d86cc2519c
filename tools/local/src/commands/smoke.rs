//! `smoke`: document 1's test script and document 2's flow as checks, for people and for continuous integration.
//!
//! Without an instance to talk to it starts one of its own, with a stub of marketplace B beside it.

use std::io::{Write, stdout};
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::response::Json;
use axum::routing::get;
use clap::Args;
use evenstock_app::Clock;
use evenstock_runtime::SystemClock;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::flow::{FlowArgs, Step, flow};
use super::{Api, ApiArgs, CommandError};

/// How often a check looks, and how long it waits in between.
const LOOKS: u32 = 300;
const PAUSE: Duration = Duration::from_millis(50);

/// Which instance to check.
#[derive(Debug, Clone, Args)]
pub(crate) struct SmokeArgs {
    /// The running instance to check; without it one is started for the occasion.
    #[arg(long, env = "BASE_URL")]
    base_url: Option<String>,
    /// The key to show.
    #[arg(long, env = "API_KEY", default_value = "demo", hide_env_values = true)]
    api_key: String,
    /// The secret of marketplace A's signatures.
    #[arg(long, env = "MARKETPLACE_A_SECRET", default_value = "secret", hide_env_values = true)]
    marketplace_a_secret: String,
}

/// Runs all checks and prints a line for each. `false` when one failed.
pub(crate) async fn smoke(args: &SmokeArgs) -> Result<bool, CommandError> {
    let own = if args.base_url.is_none() { Some(Own::start().await?) } else { None };
    let base_url = own.as_ref().map(|own| own.base.clone()).or_else(|| args.base_url.clone()).unwrap_or_default();
    let api = Api::new(&ApiArgs { base_url, api_key: args.api_key.clone() });
    let mut checks = Checks::default();
    // Fresh names, so that a run does not meet the one before.
    let run = SystemClock.now().as_millis();
    document_1(&api, args, own.is_some(), run, &mut checks).await?;
    document_2(&api, run, &mut checks).await?;
    writeln!(stdout().lock(), "{} checks, {} failed", checks.count, checks.failed)?;
    Ok(checks.failed == 0)
}

#[derive(Debug, Default)]
struct Checks {
    count: u32,
    failed: u32,
}

impl Checks {
    fn check(&mut self, what: &str, passed: bool, seen: &Value) -> Result<(), CommandError> {
        self.count += 1;
        let mut out = stdout().lock();
        if passed {
            writeln!(out, "ok    {what}")?;
        } else {
            self.failed += 1;
            writeln!(out, "FAIL  {what}: {seen}")?;
        }
        Ok(())
    }
}

/// Health, a signed webhook, a poll, and what became of both.
async fn document_1(api: &Api, args: &SmokeArgs, own: bool, run: i64, checks: &mut Checks) -> Result<(), CommandError> {
    let (status, health) = api.get("/health").await?;
    checks.check(
        "the service is healthy",
        status == StatusCode::OK && at(&health, "/data/status") == "healthy",
        &health,
    )?;

    let sku = format!("SMOKE-{run}");
    let body = json!({ "product_code": sku, "available_stock": 7, "timestamp": SystemClock.now().to_string() });
    let body = body.to_string();
    let path = "/webhooks/marketplace-a";
    let wrong = [("x-marketplace-signature", "00")];
    let (status, answer) = api.send(Method::POST, path, &wrong, Some(body.clone())).await?;
    checks.check("a webhook with a wrong signature is refused", status == StatusCode::UNAUTHORIZED, &answer)?;
    let signature = sign(&args.marketplace_a_secret, &body);
    let right = [("x-marketplace-signature", signature.as_str())];
    let (status, answer) = api.send(Method::POST, path, &right, Some(body)).await?;
    checks.check("a signed webhook is accepted", status == StatusCode::ACCEPTED, &answer)?;
    let level = eventually(api, &format!("/inventory/{sku}"), |level| at(level, "/available") == 7).await?;
    checks.check("its count became stock", at(&level, "/available") == 7, &level)?;

    let (status, answer) = api.send(Method::POST, "/trigger-poll", &[], None).await?;
    if own {
        checks.check("a poll of marketplace B is queued", status == StatusCode::ACCEPTED, &answer)?;
        let level = eventually(api, "/inventory/SMOKE-POLLED", |level| at(level, "/available") == 12).await?;
        checks.check("what the poll found became stock", at(&level, "/available") == 12, &level)?;
    } else {
        let polled = [StatusCode::ACCEPTED, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
        checks.check("a poll of marketplace B is queued, or none is configured", polled, &answer)?;
    }
    Ok(())
}

/// A store, three receipts, callbacks.
async fn document_2(api: &Api, run: i64, checks: &mut Checks) -> Result<(), CommandError> {
    let args = FlowArgs {
        organization: format!("smoke-{run}"),
        marketplace: "etsy".to_owned(),
        external_store_id: "ext-100".to_owned(),
        store_name: "My Etsy Store".to_owned(),
        access_token: "token-v2".to_owned(),
        currency: "USD".to_owned(),
        webhook_url: "http://127.0.0.1:4000/webhook".to_owned(),
        receipts: ["order-101", "order-102", "order-115"].map(str::to_owned).to_vec(),
    };
    let steps = flow(api, &args, |_| ()).await?;
    let all_answered = steps.len() == 9 && steps.iter().all(|step| step.status == StatusCode::OK);
    checks.check("every step of the endpoint flow is answered", all_answered, &shown(&steps))?;
    let answer = |about: &str| steps.iter().find(|step| step.about == about).map_or(Value::Null, |s| s.answer.clone());
    let good = answer("order-101");
    checks.check(
        "a good receipt is imported",
        at(&good, "/success") == true && at(&good, "/currency") == "USD",
        &good,
    )?;
    let bad = answer("order-102");
    checks.check("a bad receipt is refused", bad == json!({ "success": false, "error": "invalid_receipt" }), &bad)?;
    let limited = answer("order-115");
    let expected = json!({ "success": false, "error": "rate_limited" });
    checks.check("a rate-limited receipt is kept for later", limited == expected, &limited)?;
    let status = steps.iter().find(|step| step.call == "GET /stores/sync-status");
    let status = status.map_or(Value::Null, |step| step.answer.clone());
    let counted = at(&status, "/importedOrders") == 1
        && at(&status, "/rateLimitedCount") == 1
        && at(&status, "/syncStatus") == "partial";
    checks.check("the store's status counts them", counted, &status)?;
    let listed = steps.last().map_or(Value::Null, |step| step.answer.clone());
    let three = listed.as_array().is_some_and(|endpoints| endpoints.len() == 3);
    checks.check("the callbacks are listed", three, &listed)
}

/// A part of an answer; `null` when it has none there.
fn at<'a>(answer: &'a Value, pointer: &str) -> &'a Value {
    answer.pointer(pointer).unwrap_or(&Value::Null)
}

fn shown(steps: &[Step]) -> Value {
    steps.iter().map(|step| json!([step.call, step.about, step.status.as_u16(), step.answer])).collect()
}

/// Asks until the answer is as wanted, or patience ends; the last answer.
async fn eventually(api: &Api, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value, CommandError> {
    let mut answer = Value::Null;
    for _ in 0..LOOKS {
        answer = api.get(path).await?.1;
        if wanted(&answer) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(answer)
}

/// The hex HMAC-SHA256 of a body.
fn sign(secret: &str, body: &str) -> String {
    // HMAC takes keys of any length, so there always is one.
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).map(|mut mac| {
        mac.update(body.as_bytes());
        mac.finalize().into_bytes()
    });
    mac.iter().flatten().map(|byte| format!("{byte:02x}")).collect()
}

/// An instance that was started for the checks, and ends with them.
struct Own {
    base: String,
    _process: Child,
}

impl Own {
    async fn start() -> Result<Self, CommandError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let marketplace = format!("http://{}", listener.local_addr()?);
        let row = json!({ "sku": "SMOKE-POLLED", "qty": 12, "last_modified": SystemClock.now().as_millis() / 1000 });
        let page = json!({ "items": [row] });
        let stub = Router::new().route("/inventory/updates", get(async || Json(page)));
        tokio::spawn(async { axum::serve(listener, stub).await });
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--ephemeral", "--port", "0"])
            .env("MARKETPLACE_B_API", marketplace)
            .env("LOG_LEVEL", "warn")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let out = process.stdout.take().ok_or_else(|| std::io::Error::other("the instance has no output"))?;
        let line = BufReader::new(out).lines().next_line().await?.unwrap_or_default();
        let base = line.strip_prefix("ready ").ok_or_else(|| std::io::Error::other("the instance did not start"))?;
        Ok(Self { base: base.to_owned(), _process: process })
    }
}
