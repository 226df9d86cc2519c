//! The real template, and what is refused.

use super::*;

fn built_in() -> Template {
    Template::built_in().unwrap()
}

#[test]
fn table_of_the_template_is_read_whole() {
    let text = |name: &str| KeyAttribute { name: name.to_owned(), kind: AttributeKind::Text };
    let by_organization =
        IndexSettings { name: "by-organization".to_owned(), keys: Keys { hash: text("o"), range: Some(text("pk")) } };
    let when = KeyAttribute { name: "dt".to_owned(), kind: AttributeKind::Number };
    let due = IndexSettings { name: "due".to_owned(), keys: Keys { hash: text("d"), range: Some(when) } };
    let since = KeyAttribute { name: "ut".to_owned(), kind: AttributeKind::Number };
    let by_state = IndexSettings { name: "by-state".to_owned(), keys: Keys { hash: text("u"), range: Some(since) } };
    let expected = TableSettings {
        name: "StockTable".to_owned(),
        keys: Keys { hash: text("pk"), range: Some(text("sk")) },
        indexes: vec![by_organization, due, by_state],
        ttl_attribute: Some("x".to_owned()),
        stream: true,
    };
    assert_eq!(built_in().table, expected);
}

#[test]
fn every_function_has_a_trigger() {
    let template = built_in();
    assert!(!template.functions.is_empty());
    for function in template.functions {
        assert!(!function.triggers.is_empty(), "{}", function.logical_id);
        assert!(function.timeout_s > 0, "{}", function.logical_id);
    }
}

#[test]
fn every_consumed_queue_has_dead_letters_and_hides_messages_for_six_time_outs() {
    let template = built_in();
    let mut consumed = Vec::new();
    for function in &template.functions {
        for trigger in &function.triggers {
            let Trigger::Sqs { queue, window_s, batch_size, .. } = trigger else { continue };
            let settings = template.queues.iter().find(|settings| settings.name == *queue).unwrap();
            let redrive = settings.redrive.as_ref().unwrap();
            assert_eq!(redrive.receives_max, 5, "{queue}");
            let dead = template.queues.iter().find(|dead| dead.name == redrive.dead_letter).unwrap();
            assert!(dead.retention_ms > settings.retention_ms && dead.redrive.is_none(), "{queue}");
            let needed_s = 6 * function.timeout_s + window_s;
            assert!(settings.visibility_ms >= i64::try_from(needed_s).unwrap() * 1000, "{queue}");
            assert!(*batch_size > 0);
            consumed.push(queue.as_str());
        }
    }
    consumed.sort_unstable();
    let expected = [
        "CallbacksQueue",
        "PollJobsQueue",
        "StockChangesQueue",
        "StockPushesQueue",
        "StoreSyncQueue",
        "WarehouseEventsQueue",
        "WarehouseSyncQueue",
    ];
    assert_eq!(consumed, expected);
}

#[test]
fn every_kind_of_trigger_is_understood() {
    let template = built_in();
    let triggers: Vec<_> = template.functions.iter().flat_map(|function| &function.triggers).collect();
    let route = Trigger::Http { method: "POST".to_owned(), path: "/ingest/{channel}/{storeId}".to_owned() };
    assert!(triggers.contains(&&route));
    assert!(triggers.contains(&&Trigger::Schedule { every_s: 60 }));
    let worker =
        Trigger::Sqs { queue: "StockChangesQueue".to_owned(), batch_size: 100, window_s: 1, concurrency_max: Some(50) };
    assert!(triggers.contains(&&worker));
    // Levels, reservations, marketplace stores, receipts and conflicts.
    let kinds = [r#"{"prefix":"L#"}"#, r#""R""#, r#""T""#, r#"{"prefix":"T#"}"#, r#"{"prefix":"X#"}"#];
    let pattern = |kind| Pattern::parse(&format!(r#"{{"dynamodb":{{"Keys":{{"sk":{{"S":[{kind}]}}}}}}}}"#)).unwrap();
    let filters = kinds.map(pattern).to_vec();
    for sk in
        ["F#00000000000000000001", "M", "J#main#01795161632500#0000000000000001", "repair", "W", "D#1", "A#1", "E#main"]
    {
        let record = serde_json::json!({ "dynamodb": { "Keys": { "sk": { "S": sk } } } });
        assert!(filters.iter().all(|filter| !filter.matches(&record)), "{sk} would wake the publisher");
    }
    assert!(triggers.contains(&&Trigger::Stream { batch_size: 100, window_s: 1, filters }));
}

#[test]
fn defaults_of_parameters_are_there_and_secrets_have_none() {
    let parameters = built_in().parameters;
    assert_eq!(parameters.get("PollIntervalSeconds").map(String::as_str), Some("300"));
    assert_eq!(parameters.get("MarketplaceBApi").map(String::as_str), Some(""));
    assert_eq!(parameters.get("MarketplaceASecret"), None);
}

/// A small template; each test replaces a part of it.
const SMALL: &str = "
Parameters:
  Visibility: {Type: Number, Default: 90}
Resources:
  T:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: id, AttributeType: N}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
  Q:
    Type: AWS::SQS::Queue
    Properties: {VisibilityTimeout: !Ref Visibility}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        E:
          Type: SQS
          Properties: {Queue: !GetAtt Q.Arn, FunctionResponseTypes: [ReportBatchItemFailures]}
";

fn error_of(what: &str, instead: &str) -> String {
    assert!(SMALL.contains(what), "{what}");
    Template::parse(&SMALL.replace(what, instead)).unwrap_err().to_string()
}

#[test]
fn references_to_parameters_are_resolved_and_defaults_are_those_of_aws() {
    let template = Template::parse(SMALL).unwrap();
    let queue = QueueSettings { name: "Q".to_owned(), visibility_ms: 90_000, retention_ms: 345_600_000, redrive: None };
    assert_eq!(template.queues, [queue]);
    let trigger = Trigger::Sqs { queue: "Q".to_owned(), batch_size: 10, window_s: 0, concurrency_max: None };
    let function = FunctionSettings { logical_id: "F".to_owned(), timeout_s: 3, triggers: vec![trigger] };
    assert_eq!(template.functions, [function]);
    assert!(!template.table.stream);
    assert_eq!((template.table.ttl_attribute, template.table.keys.range), (None, None));
    let filled = Template::parse(&SMALL.replace("!Ref Visibility", "!Sub '${Visibility}0'")).unwrap();
    assert_eq!(filled.queues[0].visibility_ms, 900_000);
}

#[test]
fn errors_name_resource_and_property() {
    assert_eq!(
        error_of("!Ref Visibility", "!Ref Absent"),
        "template.yaml: Q.Properties.VisibilityTimeout refers to Absent, which is no parameter with a default"
    );
    assert_eq!(
        error_of("!Ref Visibility", "soon"),
        "template.yaml: Q.Properties.VisibilityTimeout must be a whole number of the right size"
    );
    assert_eq!(error_of("KeySchema:", "KeySchemas:"), "template.yaml: T.Properties.KeySchemas is not known here");
    assert_eq!(
        error_of("AttributeName: id, KeyType", "AttributeName: no, KeyType"),
        "template.yaml: T.Properties.KeySchema.0.AttributeName is not among AttributeDefinitions"
    );
    assert_eq!(error_of("Queue: !GetAtt Q.Arn, ", ""), "template.yaml: F.Properties.Events.E.Properties lacks Queue");
}

#[test]
fn nothing_unknown_is_skipped() {
    let unknown_event = error_of("Type: SQS", "Type: Kafka");
    assert_eq!(unknown_event, "template.yaml: F.Properties.Events.E.Type is Kafka, which is not known here");
    let unknown_resource = error_of("AWS::SQS::Queue", "AWS::SNS::Topic");
    assert_eq!(unknown_resource, "template.yaml: Q has type AWS::SNS::Topic, which is not known here");
    let unknown_property = error_of("VisibilityTimeout", "DelaySeconds");
    assert_eq!(unknown_property, "template.yaml: Q.Properties.DelaySeconds is not known here");
    assert_eq!(error_of("!GetAtt Q.Arn", "!GetAtt X.Arn"), "template.yaml: X is named as a queue and is none");
    assert_eq!(
        error_of("AWS::DynamoDB::Table", "AWS::Logs::LogGroup"),
        "template.yaml: Resources must hold one table, not 0"
    );
    assert!(error_of("ReportBatchItemFailures", "Other").ends_with("must be ReportBatchItemFailures"));
}

#[test]
fn only_rates_are_schedules() {
    for (text, seconds) in [("rate(1 minute)", 60), ("rate(5 minutes)", 300), ("rate(2 hours)", 7_200)] {
        assert_eq!(functions::rate_s(text), Some(seconds), "{text}");
    }
    for text in ["rate(0 minutes)", "rate(1 second)", "rate(x days)", "cron(0 * * * ? *)", "rate(1 minute"] {
        assert_eq!(functions::rate_s(text), None, "{text}");
    }
}
