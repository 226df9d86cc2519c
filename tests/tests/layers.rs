//! The arrows between crates that may exist. Any other is an error, and so is a crate that this list does not know.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test reports by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate may depend on in production, of this workspace.
fn allowed(name: &str) -> Option<&'static [&'static str]> {
    const FUNCTION: &[&str] = &["domain", "app", "store", "channels", "runtime", "telemetry"];
    Some(match name {
        "domain" | "telemetry" => &[],
        "app" => &["domain", "telemetry"],
        "store" | "channels" => &["domain", "app", "telemetry"],
        "runtime" => &["domain", "app", "store", "telemetry"],
        "webhook" | "poller" | "stock-worker" | "inventory-api" | "sync-api" | "admin-api" | "change-publisher"
        | "scheduler" | "mock-marketplace" | "orders-api" | "order-worker" | "replication-api" | "callbacks-api"
        | "callback-worker" | "warehouse-events" | "warehouse-worker" | "channel-publisher" => FUNCTION,
        "local" => &[
            "domain",
            "app",
            "store",
            "channels",
            "runtime",
            "telemetry",
            "callback-worker",
            "callbacks-api",
            "webhook",
            "poller",
            "stock-worker",
            "inventory-api",
            "sync-api",
            "admin-api",
            "change-publisher",
            "channel-publisher",
            "scheduler",
            "warehouse-events",
            "warehouse-worker",
            "mock-marketplace",
            "orders-api",
            "order-worker",
            "replication-api",
        ],
        "bench" => &["domain", "app", "store", "runtime", "local", "store-node"],
        // At the edge, and so knows the centre by its HTTP interface only.
        "store-node" => &["domain", "telemetry"],
        "tests" => &["local", "store-node"],
        _ => return None,
    })
}

/// Crates from outside that a layer must not reach, directly.
fn banned(name: &str) -> &'static [&'static str] {
    match name {
        "domain" => {
            &["tokio", "aws-", "axum", "lambda", "serde_json", "tracing", "reqwest", "rand", "fastrand", "uuid"]
        }
        "telemetry" => &["tokio", "aws-", "axum", "lambda", "reqwest", "uuid", "jiff"],
        "app" => &["aws-", "axum", "lambda", "reqwest", "fastrand", "uuid"],
        "channels" => &["aws-", "axum", "lambda"],
        "store" => &["axum", "lambda", "reqwest"],
        "store-node" => &["aws-", "lambda"],
        _ => &[],
    }
}

fn short(name: &str) -> Option<&str> {
    name.strip_prefix("evenstock-")
}

#[test]
fn only_the_allowed_arrows_exist() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = short(package["name"].as_str().unwrap()).expect("every crate is named evenstock-…").to_owned();
        let production =
            package["dependencies"].as_array().unwrap().iter().filter(|dependency| dependency["kind"].is_null());
        arrows.insert(name, production.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect());
    }
    assert!(arrows.len() >= 13, "the workspace was found");
    for (name, dependencies) in &arrows {
        let allowed =
            allowed(name).unwrap_or_else(|| panic!("{name} has no place in ARCHITECTURE.md; add it here too"));
        for dependency in dependencies {
            if let Some(own) = short(dependency) {
                assert!(allowed.contains(&own), "{name} must not depend on {own}");
            }
            assert!(
                !banned(name).iter().any(|ban| dependency.starts_with(ban)),
                "{name} must not depend on {dependency}"
            );
        }
    }
}
