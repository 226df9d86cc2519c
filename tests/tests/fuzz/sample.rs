//! A body that a description asks for: every field, each with its example or the simplest value of its type.

use serde_json::{Map, Value, json};

/// Deeper than any body is described.
const DEPTH_MAX: usize = 12;

/// The described operations and what they refer to.
pub(crate) struct Document(Value);

/// One operation: method, path, sample bodies, names of query parameters.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) bodies: Vec<Value>,
    pub(crate) query: Vec<String>,
}

impl Document {
    pub(crate) fn served() -> Self {
        Self(serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap())
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        let paths = self.0["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, methods)| methods.as_object().unwrap().iter().map(move |m| (path, m)));
        all.map(|(path, (method, operation))| self.operation(path, method, operation)).collect()
    }

    fn operation(&self, path: &str, method: &str, described: &Value) -> Operation {
        let schema = &described["requestBody"]["content"]["application/json"]["schema"];
        let bodies = match schema.get("oneOf").and_then(Value::as_array) {
            Some(shapes) => shapes.iter().map(|shape| self.sample(shape, 0)).collect(),
            None if schema.is_null() => Vec::new(),
            None => vec![self.sample(schema, 0)],
        };
        let parameters = described["parameters"].as_array().cloned().unwrap_or_default();
        let query = parameters
            .iter()
            .map(|parameter| self.resolved(parameter))
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
            .collect();
        Operation { method: method.to_owned(), path: path.to_owned(), bodies, query }
    }

    fn resolved<'a>(&'a self, described: &'a Value) -> &'a Value {
        match described.get("$ref").and_then(Value::as_str) {
            Some(place) => self.0.pointer(place.trim_start_matches('#')).unwrap(),
            None => described,
        }
    }

    fn sample(&self, schema: &Value, depth: usize) -> Value {
        let schema = self.resolved(schema);
        if let Some(example) = schema.get("example").or_else(|| schema["examples"].get(0)) {
            return example.clone();
        }
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            return choices[0].clone();
        }
        for name in ["oneOf", "anyOf", "allOf"] {
            if let Some(shape) = schema.get(name).and_then(Value::as_array).and_then(|shapes| shapes.last()) {
                return self.sample(shape, depth);
            }
        }
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        let kind = schema["type"].as_str().or_else(|| schema["type"].get(0).and_then(Value::as_str));
        match kind {
            Some("object") => self.object(schema, depth),
            Some("array") => json!([self.sample(&schema["items"], depth + 1)]),
            Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
            Some("boolean") => json!(true),
            Some("string") if schema["format"] == "date-time" => json!("2026-11-20T08:00:00.000Z"),
            Some("string") => json!("x1"),
            _ => Value::Null,
        }
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let fields = schema["properties"].as_object();
        let one = |(name, field): (&String, &Value)| (name.clone(), self.sample(field, depth + 1));
        Value::Object(fields.into_iter().flatten().map(one).collect::<Map<_, _>>())
    }
}

#[test]
fn every_body_that_is_described_has_a_sample_with_fields() {
    let bodies: Vec<_> = Document::served().operations().into_iter().flat_map(|operation| operation.bodies).collect();
    assert!(bodies.len() > 20);
    assert!(bodies.iter().all(|body| body.as_object().is_some_and(|fields| !fields.is_empty())), "{bodies:?}");
}
