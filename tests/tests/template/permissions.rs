//! Permissions: single actions on named things.

use serde_yaml_ng::Value;

use crate::yaml::{Template, binary_of, list, root};

/// Every statement of every function's own policies.
fn statements(template: &Template) -> Vec<(String, &Value)> {
    let mut statements = Vec::new();
    for (name, function) in template.functions() {
        for policy in list(&function["Properties"]["Policies"]) {
            statements.extend(list(&policy["Statement"]).into_iter().map(|statement| (name.to_owned(), statement)));
        }
    }
    for (name, role) in template.of_type("AWS::IAM::Role") {
        for policy in list(&role["Properties"]["Policies"]) {
            let document = &policy["PolicyDocument"]["Statement"];
            statements.extend(list(document).into_iter().map(|statement| (name.to_owned(), statement)));
        }
    }
    statements
}

#[test]
fn no_action_has_a_star() {
    let template = Template::read();
    let statements = statements(&template);
    assert!(statements.len() > 10, "the template's policies were found");
    for (name, statement) in statements {
        for action in list(&statement["Action"]) {
            let action = action.as_str().unwrap();
            assert!(action.contains(':') && !action.contains('*'), "{name}: {action}");
        }
    }
}

#[test]
fn every_permission_is_for_a_named_thing() {
    // AWS knows no resource for these.
    const WITHOUT_RESOURCE: [&str; 2] = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"];
    let template = Template::read();
    for (name, statement) in statements(&template) {
        for resource in list(&statement["Resource"]) {
            let is_star = resource.as_str() == Some("*");
            let forced =
                list(&statement["Action"]).iter().all(|action| WITHOUT_RESOURCE.contains(&action.as_str().unwrap()));
            assert!(!is_star || forced, "{name}: {:?} on everything", statement["Action"]);
        }
    }
}

/// Whoever checks keys notes their use; a function that may not would log a warning an hour and key.
#[test]
fn whoever_checks_keys_may_note_their_use() {
    let template = Template::read();
    for (name, function) in template.functions() {
        let main = root().join("functions").join(binary_of(function)).join("src/main.rs");
        if !std::fs::read_to_string(main).unwrap().contains("AccessControl::new") {
            continue;
        }
        let policies = list(&function["Properties"]["Policies"]);
        let statements = policies.into_iter().flat_map(|policy| list(&policy["Statement"]));
        let mut actions = statements.flat_map(|statement| list(&statement["Action"]));
        assert!(actions.any(|action| action == "dynamodb:UpdateItem"), "{name} may not note the use of keys");
    }
}
