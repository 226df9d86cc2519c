//! Alarms and the dashboard: everything that can fail is watched, and whoever is woken finds what to do.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

use crate::yaml::{Target, Template, read, root};

/// Names and properties of the alarms.
fn alarms(file: &Value) -> Vec<(String, &Value)> {
    let resources = file["Resources"].as_mapping().unwrap().iter();
    let alarms = resources.filter(|(_, resource)| resource["Type"] == "AWS::CloudWatch::Alarm");
    alarms.map(|(name, alarm)| (name.as_str().unwrap().to_owned(), &alarm["Properties"])).collect()
}

/// What the alarms on a metric watch: the parameters that name it.
fn watched(file: &Value, metric: &str) -> BTreeSet<String> {
    let on_metric = alarms(file).into_iter().filter(|(_, alarm)| alarm["MetricName"] == metric);
    on_metric.map(|(_, alarm)| alarm["Dimensions"][0]["Value"].target()).collect()
}

/// The nested stack that a file is.
fn nested(template: &Template, file: &str) -> Value {
    let found =
        template.of_type("AWS::Serverless::Application").find(|(_, stack)| stack["Properties"]["Location"] == file);
    found.unwrap_or_else(|| panic!("{file} is in no stack")).1["Properties"]["Parameters"].clone()
}

#[test]
fn nested_stacks_are_given_exactly_the_parameters_that_they_have() {
    let template = Template::read();
    for file in ["infra/alarms.yaml", "infra/dashboard.yaml"] {
        let names = |mapping: &Value| -> BTreeSet<String> {
            mapping.as_mapping().unwrap().keys().map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&nested(&template, file)), names(&read(file)["Parameters"]), "{file}");
    }
}

/// A description ends with a section of the runbook, and the section is there.
#[test]
fn every_alarm_names_its_section_of_the_runbook() {
    let runbook = std::fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let file = read("infra/alarms.yaml");
    assert!(alarms(&file).len() > 25);
    for (name, alarm) in alarms(&file) {
        let Value::Tagged(alarm_name) = &alarm["AlarmName"] else { panic!("{name}") };
        let short = alarm_name.value.as_str().unwrap().strip_prefix("${NamePrefix}-").unwrap();
        let description = alarm["AlarmDescription"].as_str().unwrap();
        assert!(description.ends_with(&format!(" docs/runbook.md#{short}")), "{name}: {description}");
        assert!(description.contains("First: ") && description.len() <= 1024, "{name}: {description}");
        assert!(runbook.contains(&format!("\n### {short}\n")), "docs/runbook.md has no section {short}");
        assert!(!alarm["AlarmActions"].is_null() && !alarm["OKActions"].is_null(), "{name} tells nobody");
    }
}

#[test]
fn every_queue_is_watched_for_messages_that_wait_too_long() {
    let template = Template::read();
    let file = read("infra/alarms.yaml");
    let watched = watched(&file, "ApproximateAgeOfOldestMessage");
    for (name, _) in template.of_type("AWS::SQS::Queue").filter(|(name, _)| name.ends_with("Queue")) {
        assert!(watched.contains(&format!("{name}Name")), "infra/alarms.yaml does not watch the age of {name}");
    }
}

#[test]
fn lags_throttles_and_breakers_are_watched() {
    let file = read("infra/alarms.yaml");
    for metric in ["IteratorAge", "Throttles", "WriteThrottleEvents", "breakerOpen", "pollsCompleted", "5xx"] {
        assert!(alarms(&file).iter().any(|(_, alarm)| alarm["MetricName"] == metric), "nothing watches {metric}");
    }
}

/// The line that the metric of open breakers is made of is the line that is logged.
#[test]
fn open_breakers_are_counted_by_the_line_that_is_logged() {
    let file = read("infra/alarms.yaml");
    let resources = file["Resources"].as_mapping().unwrap();
    let filters: Vec<_> = resources.values().filter(|found| found["Type"] == "AWS::Logs::MetricFilter").collect();
    assert_eq!(filters.len(), 5, "the poller, two functions of orders, the warehouse-worker and the channel-publisher");
    for filter in filters {
        assert_eq!(filter["Properties"]["FilterPattern"], r#"{ $.message = "breaker_open" }"#);
    }
    for source in ["poll.rs", "orders/import.rs", "warehouses/reconcile.rs", "central/line.rs"] {
        let text = std::fs::read_to_string(root().join("shared/app/src").join(source)).unwrap();
        assert!(text.contains(r#", "breaker_open");"#), "{source} logs no such line");
    }
}

#[test]
fn dashboard_shows_every_function_and_queue() {
    let template = Template::read();
    let file = read("infra/dashboard.yaml");
    let Value::Tagged(body) = &file["Resources"]["Dashboard"]["Properties"]["DashboardBody"] else {
        panic!("the body names what it shows by parameters")
    };
    let body = body.value.as_str().unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(body).expect("the body is JSON");
    assert!(dashboard["widgets"].as_array().unwrap().len() >= 12);
    for (name, function) in template.functions() {
        // What exists for development only is on no dashboard.
        if function["Condition"].is_null() {
            assert!(body.contains(&format!("${{{name}Name}}")), "infra/dashboard.yaml does not show {name}");
        }
    }
    for (name, _) in template.of_type("AWS::SQS::Queue") {
        assert!(body.contains(&format!("${{{name}Name}}")), "infra/dashboard.yaml does not show {name}");
    }
    for metric in
        ["Count", "4xx", "5xx", "Latency", "Throttles", "IteratorAge", "breakerOpen", "ConsumedWriteCapacityUnits"]
    {
        assert!(body.contains(&format!("\"{metric}\"")), "infra/dashboard.yaml does not show {metric}");
    }
}
