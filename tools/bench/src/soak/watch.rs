//! Those who are told: a reader who follows the change feed, and an endpoint that is called back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use fastrand::Rng;
use serde_json::Value;
use tokio::net::TcpListener;

use super::clients::{signed, version};
use super::site::Site;
use crate::Failure;

/// What is told of a change, alike in the feed and in the journal: event id, delta, quantity after it.
pub(super) type Told = (String, i64, i64);

/// A product's version.
pub(super) type Name = (String, u64);

/// What the follower of the feed got.
#[derive(Debug, Default)]
pub(super) struct Followed {
    pub(super) changes: BTreeMap<Name, Told>,
    pub(super) violations: Vec<String>,
    offset: u64,
}

/// What the follower has, and how far it is.
#[derive(Debug, Default)]
pub(super) struct Feed(Mutex<Followed>);

impl Feed {
    pub(super) fn followed(&self) -> MutexGuard<'_, Followed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(body: &Value, name: &str) -> String {
    body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(super) fn told(body: &Value) -> Result<Told, Failure> {
    Ok((text(body, "eventId"), signed(body, "delta")?, signed(body, "newQuantity")?))
}

fn name(body: &Value) -> Result<Name, Failure> {
    Ok((text(body, "productId"), version(body, "newVersion")?))
}

/// Follows from the beginning, across restarts, and sees that no number is left out and no change is told twice.
pub(super) async fn follow_feed(site: Site, feed: Arc<Feed>) -> Result<(), Failure> {
    loop {
        let offset = feed.followed().offset;
        let path = format!("/replication/changes?fromOffset={offset}&limit=1000&longPollSeconds=5");
        let body = site.ask("GET", &path, None).await?.expect(200)?;
        let events = body.get("events").and_then(Value::as_array).ok_or("the feed has no events")?;
        let mut followed = feed.followed();
        for event in events {
            let seq = version(event, "seq")?;
            if seq != followed.offset + 1 {
                let gap = format!("the feed goes from {} to {seq}", followed.offset);
                followed.violations.push(gap);
            }
            followed.offset = seq;
            let name = name(event)?;
            if followed.changes.insert(name.clone(), told(event)?).is_some() {
                followed.violations.push(format!("the feed tells {name:?} twice"));
            }
        }
    }
}

/// Deliveries that were taken: the ids of each change, and how often each came.
#[derive(Debug, Default)]
pub(super) struct Called {
    pub(super) ids: BTreeMap<Name, BTreeSet<String>>,
    pub(super) told: BTreeMap<Name, Told>,
    pub(super) deliveries: u64,
    pub(super) refused: u64,
    pub(super) unreadable: u64,
}

/// What the endpoint got.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<Called>);

impl Calls {
    pub(super) fn called(&self) -> MutexGuard<'_, Called> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Endpoint = (Arc<Calls>, Arc<Mutex<Rng>>);

/// Serves an endpoint that refuses one delivery in twenty; its address.
pub(super) async fn receive_calls(calls: Arc<Calls>, seed: u64) -> Result<String, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let random = Arc::new(Mutex::new(Rng::with_seed(seed)));
    let endpoint = Router::new().fallback(take).with_state((calls, random));
    tokio::spawn(async move { axum::serve(listener, endpoint).await });
    Ok(url)
}

async fn take(State((calls, random)): State<Endpoint>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let refuses = random.lock().unwrap_or_else(PoisonError::into_inner).u8(0..20) == 0;
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let read = serde_json::from_slice::<Value>(&body).ok().and_then(|body| {
        let data = body.get("data")?;
        (text(&body, "eventId") == id).then_some((name(data).ok()?, told(data).ok()?))
    });
    let mut called = calls.called();
    match read {
        _ if refuses => {
            called.refused += 1;
            StatusCode::INTERNAL_SERVER_ERROR
        }
        Some((name, told)) => {
            called.deliveries += 1;
            called.ids.entry(name.clone()).or_default().insert(id.to_owned());
            called.told.insert(name, told);
            StatusCode::OK
        }
        None => {
            called.unreadable += 1;
            StatusCode::OK
        }
    }
}
