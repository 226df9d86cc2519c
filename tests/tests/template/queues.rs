//! Queues: nothing is lost, nothing is worked on twice at once, and somebody is told.

use std::collections::BTreeSet;

use evenstock_runtime::RECEIVES_MAX;
use serde_yaml_ng::Value;

use crate::yaml::{Target, Template, read};

const FOUR_DAYS: i64 = 4 * 24 * 3600;
const FOURTEEN_DAYS: i64 = 14 * 24 * 3600;

fn dead_letter_queue_of(queue: &Value) -> Option<String> {
    let target = &queue["Properties"]["RedrivePolicy"]["deadLetterTargetArn"];
    (!target.is_null()).then(|| target.target())
}

#[test]
fn every_queue_has_dead_letters_that_outlive_it() {
    let template = Template::read();
    let queues: Vec<_> = template.of_type("AWS::SQS::Queue").collect();
    for (name, queue) in &queues {
        let kept = queue["Properties"]["MessageRetentionPeriod"].as_i64();
        if name.ends_with("Dlq") {
            assert_eq!(kept, Some(FOURTEEN_DAYS), "{name}");
            assert_eq!(dead_letter_queue_of(queue), None, "{name}");
        } else {
            assert_eq!(kept, Some(FOUR_DAYS), "{name}");
            assert_eq!(queue["Properties"]["RedrivePolicy"]["maxReceiveCount"], RECEIVES_MAX, "{name}");
            assert_eq!(dead_letter_queue_of(queue), Some(format!("{}Dlq", name.trim_end_matches("Queue"))));
        }
    }
    let protected: BTreeSet<_> = template
        .of_type("AWS::SQS::QueuePolicy")
        .flat_map(|(_, policy)| policy["Properties"]["Queues"].as_sequence().unwrap())
        .map(Target::target)
        .collect();
    let all: BTreeSet<_> = queues.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(protected, all, "every queue insists on TLS");
}

#[test]
fn message_stays_hidden_six_times_as_long_as_its_worker_may_take() {
    let template = Template::read();
    for (name, function) in template.functions() {
        for trigger in Template::triggers(function, "SQS") {
            let trigger = &trigger["Properties"];
            let queue = trigger["Queue"].target();
            let hidden = template.resource(&queue)["Properties"]["VisibilityTimeout"].as_i64().unwrap();
            let window = trigger["MaximumBatchingWindowInSeconds"].as_i64().unwrap_or(0);
            let least = 6 * template.timeout_of(function) + window;
            assert!(hidden >= least, "{queue}: {hidden} s hidden, {name} needs {least} s");
            assert_eq!(trigger["FunctionResponseTypes"][0], "ReportBatchItemFailures", "{name}");
            assert!(!trigger["ScalingConfig"]["MaximumConcurrency"].is_null(), "{name} has no bulkhead");
        }
    }
}

/// The bulkheads that `/api/metrics` tells of are those that the triggers set.
#[test]
fn limits_that_are_shown_are_the_limits_that_hold() {
    let template = Template::read();
    let shown = &template.resource("SyncApiFunction")["Properties"]["Environment"]["Variables"];
    for (function, variable) in [
        ("StockWorkerFunction", "STOCK_WORKER_CONCURRENCY"),
        ("PollerFunction", "POLLER_CONCURRENCY"),
        ("OrderWorkerFunction", "ORDER_WORKER_CONCURRENCY"),
        ("CallbackWorkerFunction", "CALLBACK_WORKER_CONCURRENCY"),
        ("WarehouseEventsFunction", "WAREHOUSE_EVENTS_CONCURRENCY"),
        ("WarehouseWorkerFunction", "WAREHOUSE_WORKER_CONCURRENCY"),
        ("ChannelPublisherFunction", "CHANNEL_PUBLISHER_CONCURRENCY"),
    ] {
        let trigger = Template::triggers(template.resource(function), "SQS").next().unwrap();
        let set = trigger["Properties"]["ScalingConfig"]["MaximumConcurrency"].as_i64();
        assert!(set.is_some() && shown[variable].as_i64() == set, "{variable}");
    }
}

#[test]
fn somebody_is_told_of_every_dead_letter() {
    let template = Template::read();
    let alarms = read("infra/alarms.yaml");
    let watched: BTreeSet<String> = alarms["Resources"]
        .as_mapping()
        .unwrap()
        .iter()
        .filter(|(_, alarm)| alarm["Properties"]["MetricName"] == "ApproximateNumberOfMessagesVisible")
        .map(|(_, alarm)| alarm["Properties"]["Dimensions"][0]["Value"].target())
        .collect();
    for (name, _) in template.of_type("AWS::SQS::Queue").filter(|(name, _)| name.ends_with("Dlq")) {
        assert!(watched.contains(&format!("{name}Name")), "infra/alarms.yaml does not watch {name}");
    }
}

#[test]
fn somebody_is_told_when_a_function_fails() {
    let template = Template::read();
    let alarms = read("infra/alarms.yaml");
    let watched: BTreeSet<String> = alarms["Resources"]
        .as_mapping()
        .unwrap()
        .iter()
        .filter(|(_, alarm)| alarm["Properties"]["MetricName"] == "Errors")
        .map(|(_, alarm)| alarm["Properties"]["Dimensions"][0]["Value"].target())
        .collect();
    for (name, function) in template.functions() {
        // What exists for development only wakes nobody.
        if function["Condition"].is_null() {
            assert!(watched.contains(&format!("{name}Name")), "infra/alarms.yaml does not watch {name}");
        }
    }
}
