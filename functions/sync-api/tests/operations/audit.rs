//! What admins do is written down before it is done, and not done when it cannot be.

use evenstock_app::{AuditEntry, AuditLog, QueueName};
use evenstock_domain::OrganizationId;
use serde_json::json;

use super::Function;

/// What can be asked for, each with its entry: action and target.
const DEEDS: [(&str, &str, &str); 6] = [
    ("/api/sync/start", "sync.switched_on", "periodic-sync"),
    ("/api/sync/stop", "sync.switched_off", "periodic-sync"),
    ("/trigger-poll", "sync.triggered", "marketplace-b/default"),
    ("/sync/trigger", "sync.triggered", "everything"),
    ("/api/sync", "sync.triggered", "everything"),
    ("/api/metrics/reset", "metrics.reset", "counters"),
];

async fn log(function: &Function) -> Vec<AuditEntry> {
    let shop = OrganizationId::parse("shop").unwrap();
    function.store().audit(&shop, None, 50).await.unwrap().entries
}

#[tokio::test]
async fn every_deed_is_written_down_with_who_asked_for_it() {
    for (path, action, target) in DEEDS {
        // Nothing is polled where a sync waits for its end.
        let function = Function::new((path != "/api/sync").then_some("shop"));
        let reply = function.asked("POST", path, Some("admin")).await;
        assert!(reply.status < 300, "{path}: {reply:?}");
        let entries = log(&function).await;
        let told: Vec<_> = entries.iter().map(|entry| (entry.action.as_str(), entry.target.as_str())).collect();
        assert_eq!(told, [(action, target)], "{path}");
        assert!(entries.iter().all(|entry| entry.actor == "admin"), "{path}");
    }
}

#[tokio::test]
async fn nothing_is_done_that_cannot_be_written_down() {
    for (path, _, _) in DEEDS {
        let function = Function::new(Some("shop"));
        function.set_broken("append_audit", true);
        let reply = function.asked("POST", path, Some("admin")).await;
        assert_eq!(reply.refusal(), (503, "unavailable"), "{path}");
        let switch = function.asked("GET", "/api/sync/status", Some("admin")).await.body;
        assert_eq!((&switch["data"]["isRunning"], &switch["data"]["intervalMs"]), (&json!(true), &json!(300_000)));
        assert_eq!(function.operations.queue.bodies(QueueName::PollJobs), [""; 0], "{path}");
        assert_eq!(function.asked("GET", "/sync/jobs", Some("admin")).await.body["items"], json!([]), "{path}");

        function.set_broken("append_audit", false);
        assert!(path == "/api/sync" || function.asked("POST", path, Some("admin")).await.status < 300, "{path}");
    }
}

#[tokio::test]
async fn deed_repeated_under_its_key_is_one_deed() {
    let function = Function::new(Some("shop"));
    // The answer of the first try is not kept, so that the second does everything again.
    function.set_broken("keep_answer", true);
    assert_eq!(function.triggered("once", "").await.status, 503);
    function.set_broken("keep_answer", false);
    assert_eq!(function.triggered("once", "").await.status, 202);
    assert_eq!(function.triggered("once", "").await.status, 202);
    assert_eq!(log(&function).await.len(), 1);
    let jobs = function.jobs();
    assert_eq!(jobs.first(), jobs.last(), "one job, whether it was queued once or twice");
}

#[tokio::test]
async fn what_is_refused_is_no_deed() {
    let function = Function::new(None);
    for (path, key) in [("/trigger-poll", "admin"), ("/api/sync/stop", "clerk"), ("/api/metrics/reset", "clerk")] {
        assert!(function.asked("POST", path, Some(key)).await.status >= 400, "{path}");
    }
    let production = Function::in_stage(None, "prod");
    assert_eq!(production.asked("POST", "/api/metrics/reset", Some("admin")).await.status, 403);
    assert!(log(&function).await.is_empty() && log(&production).await.is_empty());
}
