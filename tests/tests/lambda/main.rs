//! Every function's real program under the emulator of Lambda's runtime, with the events of `events/`: each gives the
//! answer that stands in `events/expected/`.
//!
//! `make lambda-test` builds the programs, installs the emulator and names it in `LAMBDA_RIE`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test reports by panicking"
)]

mod cloud;
mod program;
mod rare;
mod request;
mod secrets;
mod stack;
#[path = "../template/yaml.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of the template use the rest")]
mod yaml;

use std::collections::BTreeMap;
use std::path::PathBuf;

use cloud::Cloud;
use evenstock_app::Clock;
use evenstock_runtime::SystemClock;
use program::Program;
use serde_json::Value;
use yaml::{Template, binary_of, root};

/// The day that the events tell of. Deltas from long ago are refused, so in batches it becomes yesterday.
const DAY_OF_THE_EVENTS: &str = "2026-11-20";

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The events, by the names of their files.
fn events() -> Vec<String> {
    let files = std::fs::read_dir(root().join("events")).unwrap().map(|file| file.unwrap().path());
    let events = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut names: Vec<_> = events.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn json(path: PathBuf) -> Value {
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn event(name: &str) -> Value {
    let event = json(root().join(format!("events/{name}.json")));
    if event["Records"].is_null() {
        return event;
    }
    let yesterday = SystemClock.now().plus_millis(-DAY_MS).to_string();
    serde_json::from_str(&event.to_string().replace(DAY_OF_THE_EVENTS, &yesterday[..10])).unwrap()
}

fn expected(name: &str) -> Value {
    json(root().join(format!("events/expected/{name}.json")))
}

/// The logical id of the function that an event is for: the one whose name says most of the event's.
fn function_of(template: &Template, event: &str) -> String {
    let fitting = template.functions().filter(|(_, function)| {
        let binary = binary_of(function);
        event.strip_prefix(&binary).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    });
    let longest = fitting.max_by_key(|(_, function)| binary_of(function).len());
    longest.unwrap_or_else(|| panic!("events/{event}.json is for no function")).0.to_owned()
}

/// What `expected` says and `actual` does not: an object may hold more than is expected of it, everything else is equal.
fn differences(place: &str, expected: &Value, actual: &Value, found: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (name, expected) in expected {
                differences(&format!("{place}.{name}"), expected, actual.get(name).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            for (n, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                differences(&format!("{place}[{n}]"), expected, actual, found);
            }
        }
        // The gateway's bodies are text; what is expected of them is JSON.
        (Value::Object(_) | Value::Array(_), Value::String(text)) if place.ends_with(".body") => {
            differences(place, expected, &serde_json::from_str(text).unwrap_or_default(), found);
        }
        _ if expected == actual => {}
        _ => found.push(format!("{place}: expected {expected}, got {actual}")),
    }
}

/// Gives an event to its function on a fresh table, after the events that it builds on; what is wrong with the answer.
async fn tried(template: &Template, name: &str) -> Vec<String> {
    let cloud = Cloud::start().await;
    let expected = expected(name);
    let before = expected["after"].as_array().into_iter().flatten();
    let mut answer = Value::Null;
    for name in before.map(|name| name.as_str().unwrap()).chain([name]) {
        cloud.forget_what_was_sent();
        let program = Program::start(template, &function_of(template, name), &cloud).await;
        answer = program.invoke(&event(name)).await;
    }
    let sent: BTreeMap<_, _> = cloud.sent();
    let mut found = Vec::new();
    differences("answer", &expected["answer"], &answer, &mut found);
    let nothing = Value::Object(serde_json::Map::new());
    let sends = if expected["sends"].is_null() { &nothing } else { &expected["sends"] };
    if *sends != serde_json::to_value(&sent).unwrap() {
        found.push(format!("sends: expected {sends}, got {sent:?}"));
    }
    if !found.is_empty() {
        found.push(format!("the whole answer: {answer}"));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_gets_the_answer_that_stands_beside_it() {
    let template = Template::read();
    let mut wrong = Vec::new();
    for name in events() {
        let found = tried(&template, &name).await;
        println!("{name}: {}", if found.is_empty() { "as expected" } else { "WRONG" });
        wrong.extend(found.into_iter().map(|difference| format!("{name}: {difference}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
