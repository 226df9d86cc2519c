//! Statements against calls.

use serde_json::json;

use super::*;

fn keys(patterns: &[&str]) -> Condition {
    let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    Condition { how_many: HowMany::All, key: "dynamodb:LeadingKeys".to_owned(), patterns }
}

fn rights(conditions: Vec<Condition>) -> Rights {
    let statement =
        Statement { actions: vec!["dynamodb:UpdateItem".to_owned()], resources: vec!["T".to_owned()], conditions };
    Rights::new("F", vec![statement], None)
}

fn update(pk: &str) -> Call {
    let body = json!({ "TableName": "T", "Key": { "pk": { "S": pk }, "sk": { "S": "s" } } });
    calls_of("DynamoDB_20120810.UpdateItem", &body).unwrap().remove(0)
}

#[test]
fn only_what_a_statement_names_is_allowed() {
    let rights = rights(Vec::new());
    assert_eq!(rights.check(&update("p")), Ok(()));
    for other in [Call::new("dynamodb:PutItem", "T"), Call::new("dynamodb:UpdateItem", "T/index/due")] {
        assert!(rights.check(&other).is_err(), "{other:?}");
    }
    let denied = rights.check(&Call::new("sqs:SendMessage", "Q")).unwrap_err();
    assert_eq!(denied.to_string(), "the role of F does not allow sqs:SendMessage on Q ()");
}

#[test]
fn conditions_look_at_every_leading_key() {
    let rights = rights(vec![keys(&["K#*", "metrics"])]);
    assert_eq!(rights.check(&update("K#1")), Ok(()));
    assert_eq!(rights.check(&update("metrics")), Ok(()));
    assert!(rights.check(&update("demo#S#SKU-1")).is_err());
}

#[test]
fn any_needs_a_value_and_all_does_not() {
    let mut condition = keys(&["K#*"]);
    let silent = Call::new("dynamodb:UpdateItem", "T");
    assert_eq!(condition.fitting(&silent), Some(Vec::new()));
    condition.how_many = HowMany::Any;
    assert_eq!(condition.fitting(&silent), None);
}

#[test]
fn stars_stand_for_any_text() {
    for (pattern, text) in
        [("K#*", "K#"), ("*#W#*", "demo#W#e"), ("*#Q", "demo#Q"), ("*", ""), ("a", "a"), ("*a*b", "xaxb")]
    {
        assert!(fits(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("K#*", "xK#"), ("*#W#*", "demo#W"), ("*#Q", "demo#Q2"), ("a", "ab"), ("ab*b", "ab")] {
        assert!(!fits(pattern, text), "{pattern} {text}");
    }
}

#[test]
fn every_kind_of_request_is_understood() {
    let query = json!({
        "TableName": "T", "IndexName": "due", "KeyConditionExpression": "d = :d AND dt <= :now",
        "ExpressionAttributeValues": { ":d": { "S": "reservation#3" }, ":now": { "N": "1" } },
    });
    let [call] = calls_of("DynamoDB_20120810.Query", &query).unwrap().try_into().unwrap();
    assert_eq!((call.action.as_str(), call.resource.as_str()), ("dynamodb:Query", "T/index/due"));
    assert_eq!(call.said("dynamodb:LeadingKeys"), ["reservation#3"]);

    let batch = json!({ "RequestItems": { "T": { "Keys": [{ "pk": { "S": "a" } }, { "pk": { "S": "b" } }] } } });
    let [call] = calls_of("DynamoDB_20120810.BatchGetItem", &batch).unwrap().try_into().unwrap();
    assert_eq!(call.said("dynamodb:LeadingKeys"), ["a", "b"]);

    let send = json!({ "QueueUrl": "http://sqs/000000000000/CallbacksQueue" });
    let sent = calls_of("AmazonSQS.SendMessageBatch", &send).unwrap();
    assert_eq!(sent, [Call::new("sqs:SendMessage", "CallbacksQueue")]);

    let decrypt = json!({ "KeyId": "arn:aws:local:::SealKey", "EncryptionContext": { "evenstock:seal-key": "1" } });
    let [call] = calls_of("TrentService.Decrypt", &decrypt).unwrap().try_into().unwrap();
    assert_eq!((call.action.as_str(), call.resource.as_str()), ("kms:Decrypt", "SealKey"));
    assert_eq!(call.said("kms:EncryptionContextKeys"), ["evenstock:seal-key"]);

    let events = json!({ "Entries": [{ "EventBusName": "EventBus", "Source": "evenstock" }] });
    let [call] = calls_of("AWSEvents.PutEvents", &events).unwrap().try_into().unwrap();
    assert_eq!((call.resource.as_str(), call.said("events:source")), ("EventBus", &["evenstock".to_owned()][..]));
    assert_eq!(calls_of("Unknown.Call", &json!({})), None);
}

#[test]
fn calls_are_written_down_once_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let record = Arc::new(Record::open(folder.path()).unwrap());
    let allowed = rights(vec![keys(&["K#*", "metrics"])]);
    let rights = Rights::new("F", allowed.statements, Some(record));
    for pk in ["K#1", "K#2", "metrics", "other"] {
        assert_eq!(rights.check(&update(pk)).is_ok(), pk != "other");
    }
    let made = |under: &str| Made {
        function: "F".to_owned(),
        action: "dynamodb:UpdateItem".to_owned(),
        resource: "T".to_owned(),
        under: vec![under.to_owned()],
    };
    assert_eq!(Record::read(folder.path()).unwrap(), [made("K#*"), made("metrics")].into());
}
