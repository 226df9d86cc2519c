//! The description of the whole API: what the functions say of themselves, the routes of the template, and the document
//! that is served are one.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking; that is how it reports")]

use std::collections::{BTreeMap, BTreeSet};

use evenstock_local::template::{Template, Trigger};
use evenstock_runtime::testing::Contract;
use serde_json::Value;
use utoipa::openapi::OpenApi;

type Describe = fn() -> OpenApi;

/// The functions that serve HTTP, by their names in the template.
const FUNCTIONS: &[(&str, Describe)] = &[
    ("WebhookFunction", evenstock_webhook::openapi),
    ("InventoryApiFunction", evenstock_inventory_api::openapi),
    ("SyncApiFunction", evenstock_sync_api::openapi),
    ("AdminApiFunction", evenstock_admin_api::openapi),
    ("OrdersApiFunction", evenstock_orders_api::openapi),
    ("CallbacksApiFunction", evenstock_callbacks_api::openapi),
    ("ReplicationApiFunction", evenstock_replication_api::openapi),
    ("MockMarketplaceFunction", evenstock_mock_marketplace::openapi),
];

/// Set, it makes the test write the document.
const UPDATE: &str = "UPDATE_OPENAPI";

fn document() -> String {
    let mut all: Option<OpenApi> = None;
    for (_, describe) in FUNCTIONS {
        all = Some(match all {
            None => describe(),
            Some(all) => all.merge_from(describe()),
        });
    }
    all.unwrap().to_pretty_json().unwrap() + "\n"
}

#[test]
fn served_document_is_what_the_code_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, document()).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(
        kept == document(),
        "docs/openapi.json is not what the code says; write it anew with\n\n    \
         {UPDATE}=1 cargo test -p evenstock-local --test openapi\n"
    );
}

#[test]
fn functions_agree_on_what_they_name_alike() {
    let mut ids = BTreeSet::new();
    let mut components: BTreeMap<(String, String), Value> = BTreeMap::new();
    for (function, describe) in FUNCTIONS {
        let own: Value = serde_json::from_str(&describe().to_json().unwrap()).unwrap();
        for (kind, named) in own.get("components").and_then(Value::as_object).unwrap() {
            for (name, component) in named.as_object().unwrap() {
                let known = components.entry((kind.clone(), name.clone())).or_insert_with(|| component.clone());
                assert_eq!(known, component, "{function} names another thing {name}");
            }
        }
        for (_, path, operation) in Contract::of(&describe()).operations() {
            let id = operation.get("operationId").unwrap().to_string();
            assert!(ids.insert(id.clone()), "{path}: there are two operations {id}");
        }
    }
}

/// A gateway's route covers a path: a parameter one part of it, a greedy one the rest.
fn covers(route: &[&str], path: &[&str]) -> bool {
    match (route, path) {
        ([], []) => true,
        ([greedy], [_, ..]) if greedy.ends_with("+}") => true,
        ([part, rest @ ..], [own, left @ ..]) => (part.starts_with('{') || part == own) && covers(rest, left),
        _ => false,
    }
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').collect()
}

#[test]
fn routes_and_descriptions_are_the_same() {
    for function in &Template::built_in().unwrap().functions {
        let http = |trigger: &Trigger| match trigger {
            Trigger::Http { method, path } => Some((method.clone(), path.clone())),
            _ => None,
        };
        let routes: BTreeSet<_> = function.triggers.iter().filter_map(http).collect();
        let name = &function.logical_id;
        let known = FUNCTIONS.iter().find(|(known, _)| known == name);
        let Some((_, describe)) = known else {
            assert!(routes.is_empty(), "{name} serves HTTP and is not described; add a line to FUNCTIONS");
            continue;
        };
        let mut described = BTreeSet::new();
        for (method, path, _) in Contract::of(&describe()).operations() {
            let fits = |(own, route): &&(String, String)| *own == method && covers(&parts(route), &parts(path));
            // The gateway takes the route that says most of the path.
            let literal = |route: &str| parts(route).iter().filter(|part| !part.starts_with('{')).count();
            let route = routes.iter().filter(fits).max_by_key(|(_, route)| literal(route));
            let route = route.unwrap_or_else(|| panic!("{name} describes {method} {path}, which has no route"));
            described.insert(route.clone());
        }
        assert_eq!(described, routes, "{name} has routes that are not described");
    }
}
