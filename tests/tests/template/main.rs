//! What `template.yaml` promises for every queue, function and permission, also for the ones that come later.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod alarms;
mod environment;
mod gateway;
mod permissions;
mod queues;
mod yaml;

use evenstock_domain::SEARCH_MARGIN_MS;

use yaml::{Target, Template, binary_of, root};

#[test]
fn every_function_writes_to_a_log_group_of_its_own_that_forgets() {
    let template = Template::read();
    let mut seen = Vec::new();
    for (name, function) in template.functions() {
        let group = function["Properties"]["LoggingConfig"]["LogGroup"].target();
        assert!(!seen.contains(&group), "{name}: {group} belongs to another function");
        let retention = &template.resource(&group)["Properties"]["RetentionInDays"];
        assert!(!retention.is_null(), "{group} keeps its lines for ever");
        seen.push(group);
    }
}

#[test]
fn every_function_has_an_event_to_be_invoked_with() {
    let template = Template::read();
    let events: Vec<String> = std::fs::read_dir(root().join("events"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    for (name, function) in template.functions() {
        let binary = binary_of(function);
        assert!(events.iter().any(|event| event.starts_with(&binary)), "{name}: no events/{binary}*.json");
    }
}

/// A search through the journal looks so far back; a function that worked longer could name an event's time too late.
#[test]
fn no_function_works_longer_than_the_journal_is_searched() {
    let template = Template::read();
    for (name, function) in template.functions() {
        let timeout = template.timeout_of(function);
        assert!(timeout * 1000 < SEARCH_MARGIN_MS, "{name} may run {timeout} s");
    }
}

#[test]
fn every_function_is_built_for_graviton_from_its_own_binary() {
    let template = Template::read();
    let globals = template.globals();
    assert_eq!(globals["Architectures"][0], "arm64");
    assert_eq!(globals["Runtime"], "provided.al2023");
    for (name, function) in template.functions() {
        assert_eq!(function["Metadata"]["BuildMethod"], "rust-cargolambda", "{name}");
        let folder = root().join("functions").join(binary_of(function));
        assert!(folder.join("src/main.rs").is_file(), "{name}: {} is no function", folder.display());
    }
}
