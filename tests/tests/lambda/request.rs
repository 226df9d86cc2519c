//! Requests as the gateway hands them to a function.

use serde_json::{Map, Value, json};

/// A request with a JSON body, by the key that the suite has.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Value {
    let mut all = Map::new();
    all.insert("x-api-key".to_owned(), json!("demo"));
    all.insert("content-type".to_owned(), json!("application/json"));
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let route = format!("{method} {path}");
    json!({
        "version": "2.0", "routeKey": route, "rawPath": path, "rawQueryString": query, "headers": all,
        "requestContext": {
            "accountId": "123456789012", "apiId": "a1b2c3d4e5", "domainName": "localhost", "domainPrefix": "localhost",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "t" },
            "requestId": "r", "routeKey": route, "stage": "$default", "time": "20/Nov/2026:08:00:01 +0000",
            "timeEpoch": 1_795_161_601_000_i64,
        },
        "body": body.map(Value::to_string), "isBase64Encoded": false,
    })
}

/// A batch of one message.
pub(crate) fn batch(body: &Value) -> Value {
    batch_of(core::slice::from_ref(body), 1)
}

/// A batch of messages that are received for the `receives`th time.
pub(crate) fn batch_of(bodies: &[Value], receives: u32) -> Value {
    let message = |(n, body): (usize, &Value)| {
        json!({
            "messageId": format!("m-{n}"), "receiptHandle": "r", "body": body.to_string(), "messageAttributes": {},
            "md5OfBody": "-",
            "attributes": {
                "ApproximateReceiveCount": receives.to_string(), "SentTimestamp": "0", "SenderId": "s", "ApproximateFirstReceiveTimestamp": "0",
            },
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:q", "awsRegion": "eu-central-1",
        })
    };
    json!({ "Records": bodies.iter().enumerate().map(message).collect::<Vec<_>>() })
}
