//! Spans and metrics in the JSON form of OpenTelemetry's protocol, version 1:
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>. Ids are hex, 64-bit integers are strings.

use serde_json::{Map, Value, json};

use crate::TraceContext;

/// What our spans and metrics are told from those of libraries by.
const SCOPE: &str = "evenstock";

/// The sum since the process started: what is lost on the way is made good by the next one.
const CUMULATIVE: u8 = 2;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attribute {
    Text(String),
    Number(i64),
    Truth(bool),
}

/// A piece of work that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DoneSpan {
    pub(crate) context: TraceContext,
    pub(crate) parent: Option<String>,
    pub(crate) name: String,
    pub(crate) kind: u8,
    pub(crate) begun_ns: u64,
    pub(crate) ended_ns: u64,
    pub(crate) attributes: Vec<(String, Attribute)>,
    pub(crate) links: Vec<TraceContext>,
    pub(crate) is_error: bool,
}

/// A metric as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name, the same wherever it is shown.
    pub name: String,
    /// Its unit: `1`, `ms`, `By`.
    pub unit: &'static str,
    /// What was measured since the process started.
    pub measured: Measured,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measured {
    /// A number that only grows.
    Sum(u64),
    /// Values by classes.
    Histogram {
        /// The upper bounds of the classes, but for the last, which has none.
        bounds: Vec<i64>,
        /// Values in each class: one more than there are bounds.
        counts: Vec<u64>,
        /// All values together.
        sum: u64,
    },
}

/// Who speaks.
pub(crate) fn resource(attributes: &[(String, String)]) -> Value {
    let attributes = attributes.iter().map(|(name, value)| (name.clone(), Attribute::Text(value.clone())));
    json!({ "attributes": attributes.map(|(name, value)| attribute(&name, &value)).collect::<Vec<_>>() })
}

/// The body of a request to `/v1/traces`.
pub(crate) fn traces(resource: &Value, spans: &[DoneSpan]) -> Value {
    let spans: Vec<_> = spans.iter().map(span).collect();
    json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "scope": scope(), "spans": spans }] }] })
}

/// The body of a request to `/v1/metrics`.
pub(crate) fn metrics(resource: &Value, metrics: &[Metric], begun_ns: u64, now_ns: u64) -> Value {
    let metrics: Vec<_> = metrics.iter().map(|it| metric(it, begun_ns, now_ns)).collect();
    json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [{ "scope": scope(), "metrics": metrics }] }] })
}

fn scope() -> Value {
    json!({ "name": SCOPE, "version": env!("CARGO_PKG_VERSION") })
}

fn span(done: &DoneSpan) -> Value {
    let mut span = Map::new();
    let mut put = |name: &str, value: Value| span.insert(name.to_owned(), value);
    put("traceId", json!(done.context.trace_id()));
    put("spanId", json!(done.context.span_id()));
    if let Some(parent) = &done.parent {
        put("parentSpanId", json!(parent));
    }
    if let Some(state) = done.context.tracestate() {
        put("traceState", json!(state));
    }
    put("name", json!(done.name));
    put("kind", json!(done.kind));
    put("startTimeUnixNano", json!(done.begun_ns.to_string()));
    put("endTimeUnixNano", json!(done.ended_ns.to_string()));
    put("attributes", done.attributes.iter().map(|(name, value)| attribute(name, value)).collect());
    let link = |link: &TraceContext| json!({ "traceId": link.trace_id(), "spanId": link.span_id() });
    put("links", done.links.iter().map(link).collect());
    put("status", if done.is_error { json!({ "code": 2 }) } else { json!({}) });
    Value::Object(span)
}

fn attribute(name: &str, value: &Attribute) -> Value {
    let value = match value {
        Attribute::Text(text) => json!({ "stringValue": text }),
        Attribute::Number(number) => json!({ "intValue": number.to_string() }),
        Attribute::Truth(truth) => json!({ "boolValue": truth }),
    };
    json!({ "key": name, "value": value })
}

fn metric(metric: &Metric, begun_ns: u64, now_ns: u64) -> Value {
    let mut point = Map::new();
    point.insert("startTimeUnixNano".to_owned(), json!(begun_ns.to_string()));
    point.insert("timeUnixNano".to_owned(), json!(now_ns.to_string()));
    let data = match &metric.measured {
        Measured::Sum(sum) => {
            point.insert("asInt".to_owned(), json!(sum.to_string()));
            ("sum", json!({ "aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": [point] }))
        }
        Measured::Histogram { bounds, counts, sum } => {
            let all: u64 = counts.iter().sum();
            point.insert("count".to_owned(), json!(all.to_string()));
            point.insert("sum".to_owned(), json!(sum));
            point.insert("bucketCounts".to_owned(), counts.iter().map(|count| json!(count.to_string())).collect());
            point.insert("explicitBounds".to_owned(), json!(bounds));
            ("histogram", json!({ "aggregationTemporality": CUMULATIVE, "dataPoints": [point] }))
        }
    };
    let mut whole = Map::from_iter([("name".to_owned(), json!(metric.name)), ("unit".to_owned(), json!(metric.unit))]);
    whole.insert(data.0.to_owned(), data.1);
    Value::Object(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_is_written_as_the_protocol_says() {
        let done = DoneSpan {
            context: TraceContext::new([0xab; 16], [0xcd; 8], true),
            parent: Some("0102030405060708".to_owned()),
            name: "ApplyDelta".to_owned(),
            kind: 1,
            begun_ns: 1,
            ended_ns: 2,
            attributes: vec![
                ("sku.id".to_owned(), Attribute::Text("A".to_owned())),
                ("n".to_owned(), Attribute::Number(-3)),
                ("whole".to_owned(), Attribute::Truth(true)),
            ],
            links: vec![TraceContext::new([1; 16], [2; 8], true)],
            is_error: true,
        };
        let body = traces(&resource(&[("service.name".to_owned(), "webhook".to_owned())]), &[done]);
        let expected = json!({ "resourceSpans": [{
            "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "webhook" } }] },
            "scopeSpans": [{
                "scope": { "name": "evenstock", "version": env!("CARGO_PKG_VERSION") },
                "spans": [{
                    "traceId": "ab".repeat(16),
                    "spanId": "cd".repeat(8),
                    "parentSpanId": "0102030405060708",
                    "name": "ApplyDelta",
                    "kind": 1,
                    "startTimeUnixNano": "1",
                    "endTimeUnixNano": "2",
                    "attributes": [
                        { "key": "sku.id", "value": { "stringValue": "A" } },
                        { "key": "n", "value": { "intValue": "-3" } },
                        { "key": "whole", "value": { "boolValue": true } },
                    ],
                    "links": [{ "traceId": "01".repeat(16), "spanId": "02".repeat(8) }],
                    "status": { "code": 2 },
                }],
            }],
        }] });
        assert_eq!(body, expected);
    }

    #[test]
    fn metrics_are_sums_since_the_start() {
        let sum = Metric { name: "inventory_updates_total".to_owned(), unit: "1", measured: Measured::Sum(7) };
        let measured = Measured::Histogram { bounds: vec![5, 10], counts: vec![1, 2, 3], sum: 60 };
        let latency = Metric { name: "request_latency_ms".to_owned(), unit: "ms", measured };
        let body = metrics(&json!({}), &[sum, latency], 1, 2);
        let metrics = &body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
        let point = json!({ "startTimeUnixNano": "1", "timeUnixNano": "2", "asInt": "7" });
        let sum = json!({ "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [point] });
        assert_eq!(metrics[0], json!({ "name": "inventory_updates_total", "unit": "1", "sum": sum }));
        let point = &metrics[1]["histogram"]["dataPoints"][0];
        assert_eq!((&point["count"], &point["sum"]), (&json!("6"), &json!(60)));
        assert_eq!(point["bucketCounts"], json!(["1", "2", "3"]));
        assert_eq!(point["explicitBounds"], json!([5, 10]));
    }
}
