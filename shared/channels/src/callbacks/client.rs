//! Calls an endpoint once and tells what came of it.
//!
//! Never follows a redirect, never uses a proxy, never reads more than the beginning of an answer. No error quotes a URL
//! or a body.

use core::error::Error;
use core::time::Duration;
use std::sync::Arc;

use evenstock_app::{Call, CallbackSender, InvalidTarget};
use evenstock_domain::{Attempt, Forbidden, Guard, Timestamp, Tried};
use evenstock_telemetry::current;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Response, redirect};
use tokio::time::{Instant, timeout};

use super::resolver::{GuardedResolver, Lookup, ResolveError, SystemLookup};
use super::{SigningKey, Target};
use crate::http::{client_builder, retry_after_seconds};

/// The longest time to wait for a connection.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// Bytes of an answer that are read and remembered.
const RESPONSE_BYTES_MAX: usize = 1024;

/// How long the beginning of an answer is waited for once its status is known: the status alone decides.
const RESPONSE_PATIENCE: Duration = Duration::from_secs(2);

/// Connections to one host that are kept for the next call.
const IDLE_PER_HOST_MAX: usize = 4;

const USER_AGENT: &str = concat!("Evenstock/", env!("CARGO_PKG_VERSION"));

static ID: HeaderName = HeaderName::from_static("webhook-id");
static TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
static SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
static EVENT_ID: HeaderName = HeaderName::from_static("x-event-id");

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for callbacks cannot start")]
pub struct SenderError(#[source] reqwest::Error);

/// How long a receiver may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// What calls endpoints in production: 15 seconds a call, names from the system.
///
/// # Errors
/// [`SenderError`] when TLS cannot start.
pub fn callbacks_sender(allow_private: bool) -> Result<HttpCallbacks, SenderError> {
    HttpCallbacks::new(Guard { allow_private }, SystemLookup, ANSWER_LIMIT)
}

/// Delivers callbacks over HTTP.
#[derive(Clone)]
pub struct HttpCallbacks {
    client: Client,
    resolver: GuardedResolver,
    guard: Guard,
}

impl core::fmt::Debug for HttpCallbacks {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HttpCallbacks").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl HttpCallbacks {
    /// A client that gives every call `limit`, from resolving the host to the answer's status. To be made once a process.
    ///
    /// # Errors
    /// [`SenderError`] when TLS cannot start.
    pub fn new(guard: Guard, lookup: impl Lookup, limit: Duration) -> Result<Self, SenderError> {
        let resolver = GuardedResolver::new(Arc::new(lookup), guard);
        let client = client_builder()
            .user_agent(USER_AGENT)
            .timeout(limit)
            .connect_timeout(limit.min(CONNECT_TIMEOUT_MAX))
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .dns_resolver(resolver.clone())
            // A redirect could lead to where the guard would not let us.
            .redirect(redirect::Policy::none())
            // A proxy would resolve names itself, behind the guard's back.
            .no_proxy()
            .build()
            .map_err(SenderError)?;
        Ok(Self { client, resolver, guard })
    }

    /// The answer's status and its beginning, or why there is none.
    async fn post(&self, call: &Call<'_>) -> Result<(Response, u16), String> {
        let target = Target::parse(call.target, self.guard).map_err(|issue| format!("the URL {issue}"))?;
        let timestamp = call.sent_at.as_millis().div_euclid(1000);
        let mut signatures = Vec::new();
        for secret in call.secrets {
            let key = SigningKey::parse(secret.expose()).map_err(|_| "the endpoint's secret cannot sign")?;
            signatures.push(key.sign(call.event_id, timestamp, call.body.as_bytes()));
        }
        let header = |text: &str| HeaderValue::from_str(text).map_err(|_| "the event's id cannot stand in a header");
        let id = header(call.event_id)?;
        let request = self
            .client
            .post(target.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(&ID, id.clone())
            .header(&TIMESTAMP, timestamp)
            .header(&SIGNATURE, header(&signatures.join(" "))?)
            .header(&EVENT_ID, id)
            .body(call.body.to_owned());
        let request = match current() {
            None => request,
            Some(trace) => {
                let request = request.header("traceparent", trace.traceparent());
                trace.tracestate().into_iter().fold(request, |request, state| request.header("tracestate", state))
            }
        };
        let response = request.send().await.map_err(|error| failure(&error).to_owned())?;
        let status = response.status().as_u16();
        Ok((response, status))
    }
}

impl CallbackSender for HttpCallbacks {
    async fn check(&self, target: &str) -> Result<(), InvalidTarget> {
        let target = Target::parse(target, self.guard)?;
        let Some(name) = target.name() else {
            return Ok(());
        };
        match timeout(CONNECT_TIMEOUT_MAX, self.resolver.addresses(name)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(ResolveError::Forbidden(_))) => Err(InvalidTarget::Forbidden),
            Ok(Err(ResolveError::Unresolved(_) | ResolveError::NoAddress)) | Err(_) => Err(InvalidTarget::Unresolved),
        }
    }

    async fn send(&self, call: Call<'_>) -> Tried {
        let begun = Instant::now();
        let outcome = self.post(&call).await;
        let duration_ms = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
        match outcome {
            Ok((response, status)) => {
                let retry_after_seconds = retry_after_seconds(response.headers());
                let response = Some(beginning(response).await).filter(|text| !text.is_empty());
                Tried { attempt: attempt(call.sent_at, Some(status), duration_ms, None, response), retry_after_seconds }
            }
            Err(error) => Tried {
                attempt: attempt(call.sent_at, None, duration_ms, Some(error), None),
                retry_after_seconds: None,
            },
        }
    }
}

const fn attempt(
    at: Timestamp,
    status_code: Option<u16>,
    duration_ms: u32,
    error: Option<String>,
    response: Option<String>,
) -> Attempt {
    Attempt { at, status_code, duration_ms, error, response }
}

/// The first bytes of an answer. The rest is left unread, and the connection with it.
async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() >= RESPONSE_BYTES_MAX {
                break;
            }
        }
    };
    // What came in time is enough: the status has decided.
    timeout(RESPONSE_PATIENCE, read).await.unwrap_or_default();
    bytes.truncate(RESPONSE_BYTES_MAX);
    // What stands for a byte that is no text is longer than the byte.
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    text.truncate(text.floor_char_boundary(RESPONSE_BYTES_MAX));
    text
}

/// The transport's own errors quote the URL, so only their kind is kept.
fn failure(error: &reqwest::Error) -> &'static str {
    if causes(error).any(|cause| cause.is::<Forbidden>() || is_forbidden(cause)) {
        "the address is not one of the public internet"
    } else if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}

fn is_forbidden(cause: &(dyn Error + 'static)) -> bool {
    matches!(cause.downcast_ref::<ResolveError>(), Some(ResolveError::Forbidden(_)))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    core::iter::successors(Some(error), |&error| error.source())
}
