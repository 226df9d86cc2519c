//! A thousand events over real HTTP to a receiver that fails often.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use evenstock_channels::{HttpCallbacks, ReceivedHeaders, SigningKey, SystemLookup};
use evenstock_domain::{DeliveryState, Guard, Timestamp};

use crate::world::{SECRET, names, parsed, world};

#[derive(Default)]
struct Received {
    /// Calls by event id.
    tries: BTreeMap<String, u32>,
    arrived: BTreeSet<String>,
    forged: usize,
}

/// Answers 500 to 30 % of the calls, each event's tries on their own.
fn receive(received: &Mutex<Received>, headers: &HeaderMap, body: &[u8]) -> StatusCode {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    let id = header("webhook-id").unwrap().to_owned();
    let sent: i64 = header("webhook-timestamp").unwrap().parse().unwrap();
    let signed = ReceivedHeaders {
        id: Some(&id),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    let valid = SigningKey::parse(SECRET).unwrap().verify(signed, body, Timestamp::from_seconds(sent).unwrap()).is_ok();
    let same =
        parsed(std::str::from_utf8(body).unwrap())["eventId"] == id.as_str() && header("x-event-id") == Some(&id);
    let mut received = received.lock().unwrap();
    received.forged += usize::from(!valid || !same);
    let tries = received.tries.entry(id.clone()).or_default();
    *tries += 1;
    let number: u32 = id.trim_start_matches("event-").parse().unwrap();
    if (number.wrapping_mul(2_654_435_761) ^ tries.wrapping_mul(40_503)).wrapping_mul(2_246_822_519) >> 16 & 0xff < 77 {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    received.arrived.insert(id);
    StatusCode::OK
}

#[tokio::test]
async fn thousand_events_to_a_receiver_that_fails_often_all_arrive_signed() {
    let received = Arc::new(Mutex::new(Received::default()));
    let shared = Arc::clone(&received);
    let routes = Router::new()
        .route("/hook", post(async move |headers: HeaderMap, body: Bytes| receive(&shared, &headers, &body)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}/hook", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });

    let sender = HttpCallbacks::new(Guard { allow_private: true }, SystemLookup, Duration::from_secs(15)).unwrap();
    let mut world = world(sender, "5s,5m,30m,2h,5h,10h,14h,20h,24h");
    world.register("receiver", &target).await;
    let all = names(1000);
    for part in all.chunks(100) {
        world.announce(part).await;
    }
    world.run(4 * 24 * 3_600_000).await;
    server.abort();

    let received = received.lock().unwrap();
    assert_eq!(received.forged, 0);
    assert_eq!(received.arrived.len(), 1000);
    let calls: u32 = received.tries.values().sum();
    assert!(calls > 1200, "{calls} calls: it did fail often");
    let at_once = world.arrived_at_once();
    let stored = world.callbacks.store.deliveries();
    assert!(stored.iter().all(|delivery| delivery.state == DeliveryState::Succeeded));
    assert_eq!(at_once.len() + stored.len(), 1000, "each is either in the log or has a row, never both");
    let log = world.callbacks.store.arrivals().len();
    assert!(log * 4 < at_once.len(), "{log} entries for {} arrivals", at_once.len());
}
