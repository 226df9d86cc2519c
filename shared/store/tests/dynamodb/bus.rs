//! The bus, against a server that speaks EventBridge's protocol.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use evenstock_app::{Bus, FrozenEvent};
use evenstock_domain::{EventType, Timestamp};
use evenstock_store::{AwsSettings, EventBridge, event_bridge_client};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// What the server does with a call.
enum Answer {
    /// Takes all but the entries at these places.
    Without(&'static [usize]),
    /// Takes them and answers with this status and error instead.
    TakesAndSays(u16, &'static str),
}

/// Speaks EventBridge's protocol, by a script; at its end it takes everything.
#[derive(Default)]
struct FakeBus {
    script: Mutex<VecDeque<Answer>>,
    calls: Mutex<Vec<Vec<Value>>>,
}

struct Fake(Arc<FakeBus>);

impl Respond for Fake {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        assert_eq!(request.headers["x-amz-target"], "AWSEvents.PutEvents");
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let entries = asked["Entries"].as_array().unwrap().clone();
        let count = entries.len();
        assert!((1..=10).contains(&count) && request.body.len() < 300 * 1024);
        self.0.calls.lock().unwrap().push(entries);
        let left_out = match self.0.script.lock().unwrap().pop_front() {
            Some(Answer::Without(places)) => places,
            Some(Answer::TakesAndSays(status, kind)) => {
                return ResponseTemplate::new(status).set_body_json(json!({ "__type": kind, "message": "no" }));
            }
            None => &[],
        };
        let result = |place: usize| match left_out.contains(&place) {
            true => json!({ "ErrorCode": "ThrottlingException", "ErrorMessage": "slow down" }),
            false => json!({ "EventId": format!("aws-{place}") }),
        };
        let results: Vec<_> = (0..count).map(result).collect();
        ResponseTemplate::new(200).set_body_json(json!({ "FailedEntryCount": left_out.len(), "Entries": results }))
    }
}

struct World {
    fake: Arc<FakeBus>,
    bus: EventBridge,
    _server: MockServer,
}

async fn world(script: impl IntoIterator<Item = Answer>) -> World {
    let fake = Arc::new(FakeBus { script: Mutex::new(script.into_iter().collect()), ..FakeBus::default() });
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::method("POST")).respond_with(Fake(Arc::clone(&fake))).mount(&server).await;
    let client = event_bridge_client(&AwsSettings {
        region: "eu-central-1".to_owned(),
        endpoint_url: Some(server.uri()),
        access_key_id: "test".to_owned(),
        secret_access_key: "test".to_owned(),
        session_token: None,
    });
    World { fake, bus: EventBridge::new(client, "evenstock"), _server: server }
}

impl World {
    /// The events of each call, by what their details say.
    fn calls(&self) -> Vec<Vec<u64>> {
        let number = |entry: &Value| {
            let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            detail["n"].as_u64().unwrap()
        };
        let calls = self.fake.calls.lock().unwrap();
        calls.iter().map(|call| call.iter().map(number).collect()).collect()
    }
}

fn events(count: u64) -> Vec<FrozenEvent> {
    let event = |n| FrozenEvent {
        event_id: format!("evt_{n}"),
        event: EventType::StockLow,
        time: Timestamp::from_millis(1_700_000_000_250).unwrap(),
        store: None,
        body: json!({ "eventId": format!("evt_{n}"), "n": n }).to_string(),
    };
    (0..count).map(event).collect()
}

#[tokio::test]
async fn event_carries_its_callback_body_under_our_name() {
    let world = world([]).await;
    world.bus.put(&events(1)).await.unwrap();
    let entry = world.fake.calls.lock().unwrap()[0][0].clone();
    let expected = json!({
        "EventBusName": "evenstock", "Source": "evenstock", "DetailType": "StockLow", "Time": 1_700_000_000.25,
        "Detail": events(1)[0].body,
    });
    assert_eq!(entry, expected);
}

#[tokio::test]
async fn calls_hold_ten_events_at_most() {
    let world = world([]).await;
    world.bus.put(&events(23)).await.unwrap();
    assert_eq!(world.calls(), [(0..10).collect::<Vec<_>>(), (10..20).collect(), (20..23).collect()]);
    world.bus.put(&[]).await.unwrap();
    assert_eq!(world.calls().len(), 3, "nothing to say, no call");
}

#[tokio::test]
async fn only_events_that_were_left_out_are_put_again() {
    let world = world([Answer::Without(&[1, 3]), Answer::Without(&[0])]).await;
    world.bus.put(&events(4)).await.unwrap();
    assert_eq!(world.calls(), [vec![0, 1, 2, 3], vec![1, 3], vec![1]]);
}

#[tokio::test]
async fn events_that_are_never_taken_fail_the_batch() {
    let world = world([Answer::Without(&[2]), Answer::Without(&[0]), Answer::Without(&[0])]).await;
    let error = world.bus.put(&events(13)).await.unwrap_err();
    assert!(evenstock_app::with_causes(&error).contains("1 events not taken in 3 tries: ThrottlingException"));
    assert_eq!(world.calls(), [(0..10).collect::<Vec<_>>(), vec![2], vec![2]], "and nothing behind them is put");
}

#[tokio::test]
async fn call_of_unknown_outcome_is_made_again() {
    let world = world([Answer::TakesAndSays(500, "InternalException")]).await;
    world.bus.put(&events(2)).await.unwrap();
    assert_eq!(world.calls(), [[0, 1], [0, 1]], "twice there, once by their eventId");
}

#[tokio::test]
async fn refused_call_fails_at_once() {
    let world = world([Answer::TakesAndSays(400, "ResourceNotFoundException")]).await;
    assert!(world.bus.put(&events(1)).await.is_err());
    assert_eq!(world.calls().len(), 1);
}
