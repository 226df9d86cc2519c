//! Holds answers to their description: what is answered must be described, to the last field.

use axum::Router;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::http::Request;
use serde_json::{Map, Value};
use utoipa::openapi::OpenApi;

use super::{ANSWER_BYTES_MAX, Reply, ask};

/// The headers that are part of the contract.
const HEADERS: [&str; 7] = [
    "etag",
    "idempotency-replayed",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
];

/// An OpenAPI document to hold answers to.
#[derive(Debug, Clone)]
pub struct Contract {
    document: Value,
}

/// A body with one fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    /// The body.
    pub body: Value,
    /// The field that is wrong, as a 400 must name it.
    pub field: String,
}

impl Contract {
    /// The contract of a function, or of all of them.
    pub fn of(document: &OpenApi) -> Self {
        Self::parse(&document.to_json().unwrap())
    }

    /// The contract in a document.
    pub fn parse(json: &str) -> Self {
        Self { document: serde_json::from_str(json).unwrap() }
    }

    /// Asks a router as a client would, and holds the answer to the contract.
    pub async fn ask<B>(&self, router: &Router, request: Request<B>) -> Reply
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let (parts, body) = request.into_parts();
        let body = to_bytes(Body::new(body), ANSWER_BYTES_MAX).await.unwrap();
        let (method, path) = (parts.method.as_str().to_owned(), parts.uri.path().to_owned());
        let reply = ask(router, Request::from_parts(parts, Body::from(body.clone()))).await;
        self.check(&method, &path, serde_json::from_slice(&body).ok().as_ref(), &reply);
        reply
    }

    /// Holds an answer to the contract. A request that was accepted must be as described, too.
    pub fn check(&self, method: &str, path: &str, sent: Option<&Value>, reply: &Reply) {
        let status = reply.status;
        let asked = format!("{method} {path}");
        let Some(operation) = self.operation(method, path) else {
            assert!((400..500).contains(&status), "{asked} is not described, and answers {status}");
            return;
        };
        let described = operation.pointer(&format!("/responses/{status}"));
        let described = self.resolved(described.unwrap_or_else(|| panic!("{asked} answers {status}, not described")));
        self.check_headers(described, &asked, reply);
        match described.pointer("/content/application~1json/schema") {
            None => assert_eq!(reply.text, "", "{asked} answers {status} with a body that is not described"),
            Some(schema) => {
                let fits = self.fits(schema, &reply.body, true, "body");
                assert_eq!(fits, Ok(()), "{asked} answers {status}: {}", reply.text);
            }
        }
        let missing = sent.is_none() && operation.pointer("/requestBody/required") == Some(&Value::Bool(false));
        if let Some(schema) = body_schema(operation).filter(|_| (200..300).contains(&status) && !missing) {
            let fits = self.fits(schema, sent.unwrap_or(&Value::Null), false, "body");
            assert_eq!(fits, Ok(()), "{asked} accepts a body that is not as described: {sent:?}");
        }
    }

    fn check_headers(&self, described: &Value, asked: &str, reply: &Reply) {
        let none = Map::new();
        let headers = described.get("headers").and_then(Value::as_object).unwrap_or(&none);
        for name in HEADERS {
            let known = headers.keys().any(|header| header.eq_ignore_ascii_case(name));
            assert!(known || reply.header(name).is_none(), "{asked} answers the header {name}, not described");
        }
        let promised = headers.contains_key("Retry-After");
        assert!(!promised || reply.header("retry-after").is_some(), "{asked} does not say how long to wait");
    }

    /// Every method and path of the document, with its operation.
    pub fn operations(&self) -> Vec<(String, &str, &Value)> {
        let paths = self.document.get("paths").and_then(Value::as_object).unwrap();
        let of = |(path, item): (&'_ String, &'_ Value)| -> Vec<(String, String)> {
            let methods = item.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.clone())).collect()
        };
        let all: Vec<_> = paths.iter().flat_map(of).collect();
        let found = all.into_iter().map(|(method, path)| {
            let (path, item) = paths.get_key_value(&path).unwrap();
            let operation = item.get(method.to_lowercase()).unwrap();
            (method, path.as_str(), operation)
        });
        found.collect()
    }

    /// The operation that a request meets: of those that fit, the one that says most of its path. A parameter may hold
    /// slashes.
    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let asked: Vec<_> = path.split('/').collect();
        let fitting = self.operations().into_iter().filter(|(own, template, _)| {
            let template: Vec<_> = template.split('/').collect();
            own == method && covers(&template, &asked)
        });
        let literal = |template: &str| template.split('/').filter(|part| !part.starts_with('{')).count();
        fitting.max_by_key(|(_, template, _)| literal(template)).map(|(.., operation)| operation)
    }

    /// The examples of the bodies that a request may have.
    pub fn example_bodies(&self, operation: &Value) -> Vec<Value> {
        let Some(schema) = body_schema(operation) else {
            return Vec::new();
        };
        let example = |schema: &Value| self.resolved(schema).get("example").cloned().expect("a body has an example");
        match schema.get("oneOf").and_then(Value::as_array) {
            Some(variants) => variants.iter().map(example).collect(),
            None => vec![example(schema)],
        }
    }

    /// The example with each required field left out, and with each field of a wrong type.
    pub fn broken_bodies(&self, operation: &Value, example: &Value) -> Vec<Broken> {
        let Some(schema) = body_schema(operation) else {
            return Vec::new();
        };
        let variants = schema.get("oneOf").and_then(Value::as_array);
        let variants = variants.map_or_else(|| vec![schema], |variants| variants.iter().collect());
        let own = variants.into_iter().find(|schema| self.resolved(schema).get("example") == Some(example));
        let mut broken = Vec::new();
        self.break_each(own.expect("the example is one of its schemas"), example, &mut |body, field| {
            broken.push(Broken { body, field });
        });
        broken
    }

    fn break_each(&self, schema: &Value, value: &Value, tell: &mut dyn FnMut(Value, String)) {
        let (schema, none) = (self.resolved(schema), Map::new());
        let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let object = value.as_object().unwrap();
        for (name, of) in schema.get("properties").and_then(Value::as_object).unwrap_or(&none) {
            let with = |inner: Option<Value>| {
                let mut object = object.clone();
                match inner {
                    Some(inner) => drop(object.insert(name.clone(), inner)),
                    None => drop(object.remove(name)),
                }
                Value::Object(object)
            };
            if required.contains(&Value::from(name.as_str())) {
                tell(with(None), name.clone());
            }
            let wrong =
                if of.get("type") == Some(&Value::from("object")) { Value::from(7) } else { Value::Object(Map::new()) };
            tell(with(Some(wrong)), name.clone());
            if let (Some(items), Some([first, rest @ ..])) =
                (of.get("items"), object.get(name).and_then(Value::as_array).map(Vec::as_slice))
            {
                self.break_each(items, first, &mut |inner, field| {
                    let list: Vec<_> = [inner].into_iter().chain(rest.iter().cloned()).collect();
                    tell(with(Some(Value::Array(list))), format!("{name}[0].{field}"));
                });
            }
        }
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(name) => self.document.pointer(name.trim_start_matches('#')).expect(name),
            None => value,
        }
    }

    /// A schema with the fields of all those that it is made of.
    fn whole(&self, schema: &Value) -> Value {
        let mut whole = self.resolved(schema).clone();
        let parts = whole.as_object_mut().and_then(|object| object.remove("allOf"));
        for part in parts.as_ref().and_then(Value::as_array).into_iter().flatten() {
            let part = self.whole(part);
            for (name, value) in part.as_object().into_iter().flatten() {
                match (whole.get_mut(name), value) {
                    (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
                    (Some(Value::Array(known)), Value::Array(more)) => known.extend(more.clone()),
                    (_, value) => whole[name] = value.clone(),
                }
            }
        }
        whole
    }

    /// Whether a value is as its schema says; strictly, if fields that the schema does not know are wrong.
    fn fits(&self, schema: &Value, value: &Value, strict: bool, at: &str) -> Result<(), String> {
        let schema = &self.whole(schema);
        for name in ["oneOf", "anyOf"] {
            if let Some(variants) = schema.get(name).and_then(Value::as_array) {
                let results: Vec<_> = variants.iter().map(|variant| self.fits(variant, value, strict, at)).collect();
                return if results.iter().any(Result::is_ok) { Ok(()) } else { Err(format!("{results:?}")) };
            }
        }
        if let Some(types) = schema.get("type") {
            let types = types.as_array().map_or_else(|| core::slice::from_ref(types), Vec::as_slice);
            if !types.iter().filter_map(Value::as_str).any(|kind| is_a(kind, value)) {
                return Err(format!("{at} is {value}, not {types:?}"));
            }
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array)
            && !values.contains(value)
        {
            return Err(format!("{at} is {value}, not one of {values:?}"));
        }
        within(schema, value).map_err(|wrong| format!("{at} is {wrong}"))?;
        if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
            for (place, item) in list.iter().enumerate() {
                self.fits(items, item, strict, &format!("{at}[{place}]"))?;
            }
        }
        value.as_object().map_or(Ok(()), |object| self.fits_object(schema, object, strict, at))
    }

    fn fits_object(&self, schema: &Value, object: &Map<String, Value>, strict: bool, at: &str) -> Result<(), String> {
        let required = schema.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if let Some(missing) = required.iter().filter_map(Value::as_str).find(|name| !object.contains_key(*name)) {
            return Err(format!("{at}.{missing} is missing"));
        }
        for (name, value) in object {
            let known = schema.pointer(&format!("/properties/{}", name.replace('~', "~0").replace('/', "~1")));
            match known.or_else(|| schema.get("additionalProperties")) {
                Some(schema) => self.fits(schema, value, strict, &format!("{at}.{name}"))?,
                // A schema that names no fields is open to all.
                None if strict && schema.get("properties").is_some() => {
                    return Err(format!("{at}.{name} is not described"));
                }
                None => {}
            }
        }
        Ok(())
    }
}

fn body_schema(operation: &Value) -> Option<&Value> {
    operation.pointer("/requestBody/content/application~1json/schema")
}

/// Whether a path's template covers a path. A parameter takes one part or more, of which one is not empty.
fn covers(template: &[&str], path: &[&str]) -> bool {
    match (template, path) {
        ([], []) => true,
        ([name, rest @ ..], _) if name.starts_with('{') => (1..=path.len()).any(|taken| {
            let (own, left) = path.split_at(taken);
            own.iter().any(|part| !part.is_empty()) && covers(rest, left)
        }),
        ([part, rest @ ..], [own, left @ ..]) => part == own && covers(rest, left),
        _ => false,
    }
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

/// The bounds of numbers, texts and lists.
fn within(schema: &Value, value: &Value) -> Result<(), String> {
    let size = match value {
        Value::Number(number) => number.as_i64().map(|number| (number, "imum")),
        Value::String(text) => i64::try_from(text.chars().count()).ok().map(|size| (size, "Length")),
        Value::Array(list) => i64::try_from(list.len()).ok().map(|size| (size, "Items")),
        _ => None,
    };
    let Some((size, what)) = size else {
        return Ok(());
    };
    let bound = |side: &str| schema.get(format!("{side}{what}")).and_then(Value::as_i64);
    if bound("min").is_some_and(|least| size < least) || bound("max").is_some_and(|most| size > most) {
        return Err(format!("{value}, out of bounds"));
    }
    Ok(())
}
