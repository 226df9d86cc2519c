//! Asks the centre over HTTP, and sorts what may go wrong by what it means for a write: not sent, perhaps done, refused.
//!
//! One call a question: when to ask again is the caller's decision. No error quotes a URL or a key.

use core::time::Duration;

use evenstock_domain::LocationId;
use evenstock_telemetry::current;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, Url, redirect};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::intent::{Intent, Refusal};
use crate::telemetry::count_snapshot;
use crate::wire::{ChangesPage, SnapshotPage};

/// A host that does not answer at all should not cost the whole timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a write may take; then its outcome is unknown.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a page of the snapshot may take.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long changes may take, beside the time that the centre was asked to wait for them.
const CHANGES_TIMEOUT: Duration = Duration::from_secs(10);

/// Changes asked for at once.
const CHANGES_LIMIT: u32 = 500;

/// The greatest answer that is read, in bytes: 6 MB are sent at most, and compression makes more of them.
const BODY_BYTES_MAX: usize = 128 * 1024 * 1024;

/// The longest wait that an answer may ask of us.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

const USER_AGENT: &str = concat!("Evenstock-store-node/", env!("CARGO_PKG_VERSION"));

/// Why there is no good answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Failure {
    /// There was no connection: nothing was sent.
    #[error("the centre cannot be reached")]
    NotSent,
    /// It did not answer, or not sensibly: what was asked for may have been done.
    #[error("{reason}")]
    Unknown {
        /// What happened.
        reason: String,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
    },
    /// Too many requests; this one was not looked at.
    #[error("the centre asks for fewer requests")]
    Busy {
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
    },
    /// The key is wrong or lacks a scope.
    #[error("the centre refuses this node's key (status {0}): check API_KEY, and that it may read and write")]
    KeyRefused(u16),
    /// It understood and refused.
    #[error("the centre refused the request with status {}", .0.status)]
    Refused(Refusal),
}

impl Failure {
    /// Whether what was asked for may have been done, or its key been taken.
    pub(crate) const fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// How long the centre asked us to wait.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unknown { retry_after, .. } | Self::Busy { retry_after } => *retry_after,
            Self::NotSent | Self::KeyRefused(_) | Self::Refused(_) => None,
        }
    }
}

/// A write's good answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The body, as it came.
    pub(crate) body: Map<String, Value>,
    /// Whether it is the answer to an earlier write under the same key.
    pub(crate) replayed: bool,
}

/// The centre.
#[derive(Debug, Clone)]
pub(crate) struct Centre {
    client: Client,
    base: Url,
    key: HeaderValue,
}

impl Centre {
    /// A client for the centre at `base`. To be made once a process, so that connections are reused.
    pub(crate) fn new(base: Url, key: HeaderValue) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Duration::from_secs(15))
            // The key belongs to this host and to no other one that it may point to.
            .redirect(redirect::Policy::none())
            // Proxies would come from the environment, behind the configuration's back.
            .no_proxy()
            .build()?;
        Ok(Self { client, base, key })
    }

    /// A page of the snapshot.
    pub(crate) async fn snapshot(&self, cursor: Option<&str>) -> Result<SnapshotPage, Failure> {
        let mut url = self.url(&["replication", "snapshot"]);
        if let Some(cursor) = cursor {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        let answer = self.send(self.client.get(url).timeout(SNAPSHOT_TIMEOUT)).await?;
        count_snapshot(answer.1.len());
        read(&answer.1)
    }

    /// The changes after `offset`; with a wait, the centre answers when there is one or the wait is over.
    pub(crate) async fn changes(&self, offset: u64, wait: Duration) -> Result<ChangesPage, Failure> {
        self.changes_up_to(CHANGES_LIMIT, offset, wait).await
    }

    /// Whether the feed ends before `offset`: then it is not the feed that the offset was taken from.
    pub(crate) async fn ends_before(&self, offset: u64) -> Result<bool, Failure> {
        match self.changes_up_to(1, offset, Duration::ZERO).await {
            Err(Failure::Refused(refusal)) => Ok(refusal.is_about_an_offset_ahead()),
            answered => answered.map(|_| false),
        }
    }

    async fn changes_up_to(&self, limit: u32, offset: u64, wait: Duration) -> Result<ChangesPage, Failure> {
        let mut url = self.url(&["replication", "changes"]);
        url.query_pairs_mut()
            .append_pair("fromOffset", &offset.to_string())
            .append_pair("limit", &limit.to_string())
            .append_pair("longPollSeconds", &wait.as_secs().to_string());
        let answer = self.send(self.client.get(url).timeout(wait + CHANGES_TIMEOUT)).await?;
        read(&answer.1)
    }

    /// Asks for an intent, with this version.
    pub(crate) async fn update(
        &self,
        intent: &Intent,
        store: &LocationId,
        version: Option<u64>,
        request_id: &str,
    ) -> Result<Answer, Failure> {
        let answer = self.post(&intent.body(store.as_str(), version), request_id).await?;
        match answer.body.get("applied") {
            Some(Value::Bool(true)) => Ok(answer),
            _ => Err(nonsense("it does not say that the update was applied")),
        }
    }

    /// Asks for several updates at once, in the words of our own client.
    pub(crate) async fn updates(&self, body: &Map<String, Value>, request_id: &str) -> Result<Answer, Failure> {
        let answer = self.post(body, request_id).await?;
        if answer.body.get("results").is_some_and(Value::is_array) {
            Ok(answer)
        } else {
            Err(nonsense("it has no results"))
        }
    }

    async fn post(&self, body: &impl serde::Serialize, request_id: &str) -> Result<Answer, Failure> {
        let request = self.client.post(self.url(&["inventory", "updates"])).timeout(WRITE_TIMEOUT);
        let (headers, bytes) = self.send(request.header("x-request-id", request_id).json(body)).await?;
        Ok(Answer { body: read(&bytes)?, replayed: headers.contains_key("idempotency-replayed") })
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// The headers and body of an answer 200.
    async fn send(&self, request: RequestBuilder) -> Result<(HeaderMap, Vec<u8>), Failure> {
        let request = match current() {
            Some(trace) => request.header("traceparent", trace.traceparent()),
            None => request,
        };
        let response = request.header("x-api-key", self.key.clone()).send().await.map_err(|error| broken(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let retry_after = retry_after(&headers);
        match status {
            401 | 403 => return Err(Failure::KeyRefused(status)),
            429 => return Err(Failure::Busy { retry_after }),
            500.. => return Err(Failure::Unknown { reason: format!("the centre answered {status}"), retry_after }),
            _ => {}
        }
        let body = read_body(response).await?;
        if status == 200 {
            return Ok((headers, body));
        }
        // Only what is written like the centre's own refusals counts as one: another server at its address, or a proxy
        // in between, must not decide about somebody's sale.
        match serde_json::from_slice::<Map<String, Value>>(&body) {
            Ok(body) if (400..500).contains(&status) && status != 408 && is_refusal(&body) => {
                Err(Failure::Refused(Refusal { status, body }))
            }
            _ => Err(nonsense(&format!("status {status} is none of the centre's answers; check CENTRAL_URL"))),
        }
    }
}

fn is_refusal(body: &Map<String, Value>) -> bool {
    ["code", "message", "requestId"].iter().all(|field| body.get(*field).is_some_and(Value::is_string))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| nonsense(&error.to_string()))
}

fn nonsense(what: &str) -> Failure {
    Failure::Unknown { reason: format!("the centre's answer cannot be read: {what}"), retry_after: None }
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        if body.len().saturating_add(chunk.len()) > BODY_BYTES_MAX {
            return Err(nonsense("it is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn broken(error: &reqwest::Error) -> Failure {
    if error.is_connect() {
        return Failure::NotSent;
    }
    let reason = if error.is_timeout() { "the centre did not answer in time" } else { "the connection broke" };
    Failure::Unknown { reason: reason.to_owned(), retry_after: None }
}

/// The wait that an answer asks for, in seconds; our centre never writes a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}
