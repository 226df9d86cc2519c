//! The switch of the periodic sync.

use evenstock_app::SwitchStore;
use evenstock_domain::{OrganizationId, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};

use super::Function;

async fn status(function: &Function) -> Value {
    let reply = function.asked("GET", "/api/sync/status", Some("admin")).await;
    assert_eq!((reply.status, reply.body.pointer("/success")), (200, Some(&json!(true))));
    reply.body.pointer("/data").unwrap().clone()
}

async fn started(function: &Function, body: &'static str) -> Value {
    let reply = function.sent("POST", "/api/sync/start", &[("x-api-key", "admin")], body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.body
}

#[tokio::test]
async fn sync_is_on_until_somebody_stops_it() {
    let function = Function::new(Some("shop"));
    let fresh = status(&function).await;
    assert_eq!(fresh.pointer("/isRunning").unwrap(), true);
    assert_eq!(fresh.pointer("/intervalMs").unwrap(), 300_000);
    assert_eq!(
        (fresh.pointer("/lastRunAt").unwrap(), fresh.pointer("/lastProcessedEventId").unwrap()),
        (&Value::Null, &json!(0))
    );
    let reply = function.asked("POST", "/api/sync/stop", Some("admin")).await;
    assert_eq!(reply.body.pointer("/data/isRunning").unwrap(), false);
    let stopped = status(&function).await;
    assert_eq!(
        (stopped.pointer("/isRunning").unwrap(), stopped.pointer("/nextRunAt").unwrap()),
        (&json!(false), &Value::Null)
    );
    started(&function, "").await;
    let on = status(&function).await;
    assert_eq!(on.pointer("/isRunning").unwrap(), true);
    assert!(Timestamp::parse(on.pointer("/nextRunAt").unwrap().as_str().unwrap()).is_ok());
}

#[tokio::test]
async fn interval_is_rounded_up_to_what_the_schedule_can_keep_and_the_answer_says_so() {
    let function = Function::new(Some("shop"));
    for (body, asked, kept) in [
        ("{\"intervalMs\":15000}", 15_000, 60_000),
        ("{\"intervalMs\":60001}", 60_001, 120_000),
        ("{\"intervalMs\":120000}", 120_000, 120_000),
        ("{}", 15_000, 60_000),
        ("", 15_000, 60_000),
    ] {
        let answer = started(&function, body).await;
        assert_eq!(
            answer.pointer("/data").unwrap(),
            &json!({ "isRunning": true, "intervalMs": kept, "requestedIntervalMs": asked })
        );
        let message = answer.pointer("/message").unwrap().as_str().unwrap();
        assert_eq!(message.contains("rounded up"), asked != kept, "{message}");
        assert_eq!(status(&function).await.pointer("/intervalMs").unwrap(), kept);
    }
}

#[tokio::test]
async fn next_run_follows_from_the_last() {
    let function = Function::new(Some("shop"));
    started(&function, "{\"intervalMs\":600000}").await;
    let ran_at = Timestamp::parse("2100-01-01T00:00:00.000Z").unwrap();
    function.store().mark_run(&OrganizationId::parse("shop").unwrap(), ran_at).await.unwrap();
    let status = status(&function).await;
    assert_eq!(status.pointer("/lastRunAt").unwrap(), "2100-01-01T00:00:00.000Z");
    assert_eq!(status.pointer("/nextRunAt").unwrap(), "2100-01-01T00:10:00.000Z");
}

#[rstest]
#[case::too_short("{\"intervalMs\":999}", "intervalMs")]
#[case::no_number("{\"intervalMs\":\"15s\"}", "intervalMs")]
#[case::fraction("{\"intervalMs\":1500.5}", "intervalMs")]
#[case::list("[]", "body")]
#[case::no_json("soon", "body")]
#[tokio::test]
async fn wrong_interval_is_named_and_changes_nothing(#[case] body: &'static str, #[case] field: &str) {
    let function = Function::new(Some("shop"));
    let reply = function.sent("POST", "/api/sync/start", &[("x-api-key", "admin")], body).await;
    assert_eq!(reply.fields(), [field]);
    assert_eq!(status(&function).await.pointer("/intervalMs").unwrap(), 300_000);
}
