//! Every variable that a function reads is set for it, and nothing is set that nobody reads.

use std::collections::BTreeSet;
use std::path::Path;

use crate::yaml::{Template, binary_of, root};

/// Calls that read variables by other names than their own.
const READERS: [(&str, &[&str]); 11] = [
    (
        ".order_policy()",
        &["RECEIPT_RETRY_BASE_SECONDS", "RECEIPT_RETRY_MAX_SECONDS", "BREAKER_THRESHOLD", "BREAKER_COOLDOWN_MS"],
    ),
    (".store_lease_ms()", &["STORE_LEASE_SECONDS"]),
    (".event_id_key()", &["EVENT_ID_KEY"]),
    (".history_days()", &["HISTORY_DAYS"]),
    (".feed_retention_hours()", &["FEED_RETENTION_HOURS"]),
    (".default_organization()", &["DEFAULT_ORGANIZATION"]),
    (".central_organization()", &["CENTRAL_INVENTORY_ORGANIZATION", "DEFAULT_ORGANIZATION"]),
    ("RateLimits::from_environment", &["RATE_LIMIT_RPS", "RATE_LIMIT_BURST"]),
    (".kms_sealer(", &["SEAL_KEY_ARN", "SEAL_KEY_ID"]),
    (".optional(\"LOG_LEVEL\")", &[]),
    (".optional(\"STAGE\")", &[]),
];

/// The variables that every function is given, read or not.
const SHARED: [&str; 4] = ["STAGE", "LOG_LEVEL", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"];

fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// Names in capitals that stand in quotes: what a function reads by name.
fn quoted_names(text: &str) -> BTreeSet<String> {
    let is_name = |part: &&str| {
        part.len() > 3
            && part.contains('_')
            && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    text.split('"').filter(is_name).map(str::to_owned).collect()
}

/// What the source of a function reads: by name, and through the readers that it calls.
fn read_by(folder: &Path) -> BTreeSet<String> {
    let mut text = String::new();
    sources(folder, &mut text);
    let mut names = quoted_names(&text);
    for (call, variables) in READERS {
        if text.contains(call) {
            names.extend(variables.iter().map(|name| (*name).to_owned()));
        }
    }
    names.retain(|name| !name.starts_with("AWS_") && !SHARED.contains(&name.as_str()));
    names
}

#[test]
fn functions_are_given_exactly_what_they_read() {
    let template = Template::read();
    for (name, function) in template.functions() {
        let set: BTreeSet<String> = function["Properties"]["Environment"]["Variables"]
            .as_mapping()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str().unwrap().to_owned())
            .collect();
        let read = read_by(&root().join("functions").join(binary_of(function)).join("src"));
        let missing: Vec<_> = read.difference(&set).collect();
        let superfluous: Vec<_> = set.difference(&read).collect();
        assert!(missing.is_empty(), "{name} reads {missing:?}, which the template does not set");
        assert!(superfluous.is_empty(), "{name} is given {superfluous:?}, which it does not read");
    }
}

#[test]
fn every_variable_that_is_set_is_documented() {
    let documented = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let template = Template::read();
    for (name, function) in template.functions() {
        for (variable, _) in function["Properties"]["Environment"]["Variables"].as_mapping().into_iter().flatten() {
            let variable = variable.as_str().unwrap();
            assert!(documented.contains(&format!("`{variable}`")), "{name}: docs/configuration.md misses {variable}");
        }
    }
}
