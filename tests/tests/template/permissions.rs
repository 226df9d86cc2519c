//! Permissions: a role for each function, single actions on named things, and of Lambda itself what the triggers need.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml_ng::Value;

use crate::yaml::{Target, Template, binary_of, list, root};

/// AWS knows no resource for these.
const WITHOUT_RESOURCE: [&str; 6] = [
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
];

/// AWS forces a star into the resource: the thing has no name before it exists, or its list has none at all.
const PARTLY_NAMED: [&str; 3] = ["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "dynamodb:ListStreams"];

/// The role of a function.
fn role_of<'a>(template: &'a Template, function: &Value) -> (String, &'a Value) {
    let name = function["Properties"]["Role"].target();
    let role = template.resource(&name);
    assert_eq!(role["Type"], "AWS::IAM::Role", "{name}");
    (name, role)
}

/// The statements of a role's policy of this name.
fn statements_of<'a>(role: &'a Value, policy: &str) -> Vec<&'a Value> {
    let policies = list(&role["Properties"]["Policies"]).into_iter();
    let named = policies.filter(|found| found["PolicyName"] == policy);
    named.flat_map(|found| list(&found["PolicyDocument"]["Statement"])).collect()
}

/// Every statement of every role and of every policy that a parameter adds.
fn statements(template: &Template) -> Vec<(String, &Value)> {
    let mut statements = Vec::new();
    for (name, role) in template.of_type("AWS::IAM::Role") {
        for policy in list(&role["Properties"]["Policies"]) {
            let found = list(&policy["PolicyDocument"]["Statement"]);
            statements.extend(found.into_iter().map(|statement| (name.to_owned(), statement)));
        }
    }
    for (name, policy) in template.of_type("AWS::IAM::Policy") {
        let found = list(&policy["Properties"]["PolicyDocument"]["Statement"]);
        statements.extend(found.into_iter().map(|statement| (name.to_owned(), statement)));
    }
    statements
}

/// The text of a resource: `X.Arn` for `!GetAtt X.Arn`, the pattern of a `!Sub`.
fn text(resource: &Value) -> String {
    match resource {
        Value::Tagged(tagged) => tagged.value.as_str().map_or_else(|| format!("{:?}", tagged.value), str::to_owned),
        other => other.as_str().unwrap().to_owned(),
    }
}

#[test]
fn every_function_has_a_role_of_its_own_that_only_lambda_may_take() {
    let template = Template::read();
    let mut roles = BTreeSet::new();
    for (name, function) in template.functions() {
        assert!(function["Properties"]["Policies"].is_null(), "{name}: its role says what it may");
        let (role_name, role) = role_of(&template, function);
        assert_eq!(role_name, name.replace("Function", "Role"));
        assert_eq!(role["Condition"], function["Condition"], "{role_name}");
        assert!(role["Properties"]["ManagedPolicyArns"].is_null(), "{role_name}: what AWS manages has stars");
        let [trust] = list(&role["Properties"]["AssumeRolePolicyDocument"]["Statement"]).try_into().unwrap();
        assert_eq!(trust["Principal"]["Service"], "lambda.amazonaws.com", "{role_name}");
        assert_eq!(trust["Condition"]["StringEquals"]["aws:SourceAccount"].target(), "AWS::AccountId", "{role_name}");
        roles.insert(role_name);
    }
    let all: BTreeSet<_> = template.of_type("AWS::IAM::Role").map(|(name, _)| name.to_owned()).collect();
    assert_eq!(roles, all, "each role is some function's");
}

#[test]
fn no_action_has_a_star() {
    let template = Template::read();
    let statements = statements(&template);
    assert!(statements.len() > 30, "the template's policies were found");
    for (name, statement) in statements {
        assert_eq!(statement["Effect"], "Allow", "{name}");
        for action in list(&statement["Action"]) {
            let action = action.as_str().unwrap();
            assert!(action.contains(':') && !action.contains('*'), "{name}: {action}");
        }
    }
}

#[test]
fn every_permission_is_for_a_named_thing() {
    let template = Template::read();
    for (name, statement) in statements(&template) {
        let actions: Vec<_> = list(&statement["Action"]).into_iter().map(|action| action.as_str().unwrap()).collect();
        let all_of = |known: &[&str]| actions.iter().all(|action| known.contains(action));
        for resource in list(&statement["Resource"]).into_iter().map(text) {
            match resource.as_str() {
                "*" => assert!(all_of(&WITHOUT_RESOURCE), "{name}: {actions:?} on everything"),
                some if some.contains('*') => assert!(all_of(&PARTLY_NAMED), "{name}: {actions:?} on {some}"),
                _ => {}
            }
        }
    }
}

/// What Lambda does by a function's role, and why: writing its log and its traces, reading its triggers, and keeping what
/// failed. No test can see these calls, because the function does not make them; they follow from its triggers.
fn by_lambda(function: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut allow = |actions: &[&str], resource: String| {
        allowed.entry(resource).or_default().extend(actions.iter().map(|action| (*action).to_owned()));
    };
    let properties = &function["Properties"];
    let log = properties["LoggingConfig"]["LogGroup"].target();
    allow(&["logs:CreateLogStream", "logs:PutLogEvents"], format!("{log}.Arn"));
    allow(&["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*".to_owned());
    for trigger in Template::triggers(function, "SQS") {
        let polling = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
        allow(&polling, text(&trigger["Properties"]["Queue"]));
    }
    for trigger in Template::triggers(function, "DynamoDB") {
        let polling = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"];
        allow(&polling, text(&trigger["Properties"]["Stream"]));
        allow(&["dynamodb:ListStreams"], "${StockTable.Arn}/stream/*".to_owned());
        let given_up = &trigger["Properties"]["DestinationConfig"]["OnFailure"]["Destination"];
        allow(&["sqs:SendMessage"], text(given_up));
    }
    let failed = &properties["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"];
    if !failed.is_null() {
        allow(&["sqs:SendMessage"], text(failed));
    }
    allowed
}

#[test]
fn lambda_may_do_in_a_functions_name_exactly_what_its_triggers_need() {
    let template = Template::read();
    for (name, function) in template.functions() {
        let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for statement in statements_of(role_of(&template, function).1, "platform") {
            assert!(statement["Condition"].is_null(), "{name}: a condition on what Lambda does");
            for resource in list(&statement["Resource"]) {
                let actions = list(&statement["Action"]).into_iter().map(|action| action.as_str().unwrap().to_owned());
                allowed.entry(text(resource)).or_default().extend(actions);
            }
        }
        assert_eq!(allowed, by_lambda(function), "{name}");
    }
}

/// A failed tick leaves a trace, and so does a record that the stream's trigger gives up on.
#[test]
fn what_lambda_gives_up_on_is_kept() {
    let template = Template::read();
    for (name, function) in template.functions() {
        if Template::triggers(function, "Schedule").next().is_some() {
            let kept = &function["Properties"]["EventInvokeConfig"]["DestinationConfig"]["OnFailure"];
            assert_eq!(kept["Destination"].target(), "TicksDlq", "{name}");
        }
        for trigger in Template::triggers(function, "DynamoDB") {
            let kept = &trigger["Properties"]["DestinationConfig"]["OnFailure"];
            assert_eq!(kept["Destination"].target(), "StreamDlq", "{name}");
        }
    }
    for (name, mapping) in template.of_type("AWS::Lambda::EventSourceMapping") {
        let kept = &mapping["Properties"]["DestinationConfig"]["OnFailure"]["Destination"];
        assert_eq!(kept.target(), "WarehouseEventsDlq", "{name}");
    }
}

/// Keys that wrap secrets are used for secrets only, and the bus is told nothing in another's name.
#[test]
fn conditions_stand_where_aws_has_them() {
    let template = Template::read();
    for (name, statement) in statements(&template) {
        for action in list(&statement["Action"]).into_iter().map(|action| action.as_str().unwrap()) {
            let condition = &statement["Condition"];
            if action.starts_with("kms:") {
                let context = &condition["ForAnyValue:StringEquals"]["kms:EncryptionContextKeys"];
                assert_eq!(context, "evenstock:seal-key", "{name}: {action}");
            }
            if action.starts_with("events:") {
                assert_eq!(condition["ForAllValues:StringEquals"]["events:source"], "evenstock", "{name}: {action}");
            }
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
        let statements = statements_of(role_of(&template, function).1, "calls");
        let mut actions = statements.into_iter().flat_map(|statement| list(&statement["Action"]));
        assert!(actions.any(|action| action == "dynamodb:UpdateItem"), "{name} may not note the use of keys");
    }
}
