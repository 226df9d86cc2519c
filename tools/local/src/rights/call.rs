//! A call of an AWS API as policies see it: an action, a resource, and what conditions look at.

use core::fmt;
use std::collections::BTreeMap;

use serde_json::Value;

/// The key of DynamoDB's partition keys.
const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

/// What somebody does to something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The action, such as `sqs:SendMessage`.
    pub action: String,
    /// The logical id of the resource, for an index `TABLE/index/NAME`.
    pub resource: String,
    context: BTreeMap<&'static str, Vec<String>>,
}

impl Call {
    /// A call about which there is nothing more to say.
    pub fn new(action: &str, resource: &str) -> Self {
        Self { action: action.to_owned(), resource: resource.to_owned(), context: BTreeMap::new() }
    }

    /// The same call, which says `values` under a key that conditions know.
    #[must_use]
    pub fn saying(mut self, key: &'static str, values: Vec<String>) -> Self {
        self.context.insert(key, values);
        self
    }

    /// What it says under a key of conditions.
    pub(super) fn said(&self, key: &str) -> &[String] {
        self.context.get(key).map(Vec::as_slice).unwrap_or_default()
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.context.iter().map(|(key, values)| format!("{key}: {}", values.join(", ")));
        f.write_str(&said.collect::<Vec<_>>().join("; "))
    }
}

/// The calls in one request: its `X-Amz-Target`, and its body as JSON. Queues are named by the end of their URL, keys by
/// that of their ARN. `None` for a request that is not known here.
pub fn calls_of(target: &str, body: &Value) -> Option<Vec<Call>> {
    let (service, operation) = target.split_once('.')?;
    match service.split('_').next()? {
        "DynamoDB" => dynamodb(operation, body),
        "AmazonSQS" => {
            // Sending in batches is the same right.
            let action = format!("sqs:{}", operation.trim_end_matches("Batch"));
            Some(vec![Call::new(&action, body["QueueUrl"].as_str()?.rsplit('/').next()?)])
        }
        "TrentService" => {
            let resource = body["KeyId"].as_str()?.rsplit([':', '/']).next()?;
            let context = body["EncryptionContext"].as_object();
            let keys = context.into_iter().flatten().map(|(key, _)| key.clone()).collect();
            Some(vec![Call::new(&format!("kms:{operation}"), resource).saying("kms:EncryptionContextKeys", keys)])
        }
        "AWSEvents" => {
            let entries = body["Entries"].as_array()?;
            let call = |entry: &Value| {
                let source = entry["Source"].as_str()?.to_owned();
                let call = Call::new(&format!("events:{operation}"), entry["EventBusName"].as_str()?);
                Some(call.saying("events:source", vec![source]))
            };
            entries.iter().map(call).collect()
        }
        _ => None,
    }
}

fn dynamodb(operation: &str, body: &Value) -> Option<Vec<Call>> {
    let action = format!("dynamodb:{operation}");
    if let Some(tables) = body["RequestItems"].as_object() {
        let call = |(table, asked): (&String, &Value)| {
            let keys = asked["Keys"].as_array().into_iter().flatten().filter_map(partition_of).collect();
            Call::new(&action, table).saying(LEADING_KEYS, keys)
        };
        return Some(tables.iter().map(call).collect());
    }
    let table = body["TableName"].as_str()?;
    let resource =
        body["IndexName"].as_str().map_or_else(|| table.to_owned(), |index| format!("{table}/index/{index}"));
    let keys = partition_of(&body["Key"]).or_else(|| partition_of(&body["Item"])).or_else(|| queried(body));
    Some(vec![Call::new(&action, &resource).saying(LEADING_KEYS, keys.into_iter().collect())])
}

fn partition_of(key: &Value) -> Option<String> {
    key.get("pk")?.get("S")?.as_str().map(str::to_owned)
}

/// The partition that a query is about: its condition begins `NAME = :VALUE`.
fn queried(body: &Value) -> Option<String> {
    let condition = body["KeyConditionExpression"].as_str()?;
    let (_, value) = condition.split(" AND ").find_map(|part| part.split_once(" = "))?;
    body.get("ExpressionAttributeValues")?.get(value.trim())?.get("S")?.as_str().map(str::to_owned)
}
