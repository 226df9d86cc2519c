//! Reads the body of a write as the centre would, so that nothing gets into the queue that it could not read.

use core::fmt::Display;

use axum::http::HeaderMap;
use evenstock_domain::{Delta, LocationId, Sku};
use serde_json::{Map, Value};

use super::error::ApiError;
use crate::intent::Intent;

/// Updates of one request.
const UPDATES_MAX: usize = 100;

/// The greatest version that is kept.
const VERSION_MAX: u64 = i64::MAX.unsigned_abs();

/// What a body asks for, at which store.
pub(super) struct Asked {
    pub(super) store: LocationId,
    pub(super) writes: Writes,
}

/// One write, or several that stand each on its own.
pub(super) enum Writes {
    One(Intent),
    Several(Map<String, Value>),
}

/// Reads a body.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Asked, ApiError> {
    let body = match serde_json::from_slice(body) {
        Ok(Value::Object(body)) => body,
        Ok(_) => return Err(ApiError::bad_field("body", "must be a JSON object")),
        Err(error) => return Err(ApiError::bad_field("body", &format!("must be JSON: {error}"))),
    };
    let mut fields = Fields { object: &body, issues: Vec::new() };
    let header = fields.header_key(headers);
    let store = fields.text("storeId", LocationId::parse);
    if body.contains_key("updates") {
        if header.is_some() {
            fields.refuse("Idempotency-Key", "names one update; give each of the list its own idempotencyKey");
        }
        match body.get("updates") {
            Some(Value::Array(list)) if (1..=UPDATES_MAX).contains(&list.len()) => {}
            Some(Value::Array(_)) => fields.refuse("updates", format_args!("must hold 1 to {UPDATES_MAX} updates")),
            _ => fields.refuse("updates", "must be a list"),
        }
        let store = fields.finish(store)?;
        return Ok(Asked { store, writes: Writes::Several(body) });
    }
    let intent = fields.intent(header);
    let (store, intent) = fields.finish(store.zip(intent))?;
    Ok(Asked { store, writes: Writes::One(intent) })
}

/// Reads one update of a list.
pub(super) fn read_row(row: &Value) -> Result<Intent, ApiError> {
    let Value::Object(object) = row else {
        return Err(ApiError::bad_field("update", "must be a JSON object"));
    };
    let mut fields = Fields { object, issues: Vec::new() };
    let intent = fields.intent(None);
    fields.finish(intent)
}

/// Reads the fields of an object, keeping what is wrong with each.
struct Fields<'a> {
    object: &'a Map<String, Value>,
    issues: Vec<(String, String)>,
}

impl Fields<'_> {
    fn refuse(&mut self, field: &str, issue: impl Display) {
        self.issues.push((field.to_owned(), issue.to_string()));
    }

    fn noted<T, E: Display>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|issue| self.refuse(field, issue)).ok()
    }

    fn text<T, E: Display>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        match self.object.get(name) {
            None | Some(Value::Null) => self.noted(name, Err("is required")),
            Some(Value::String(text)) => {
                let value = read(text);
                self.noted(name, value)
            }
            Some(_) => self.noted(name, Err("must be text")),
        }
    }

    fn integer<T, E: Display>(&mut self, name: &str, read: impl FnOnce(i64) -> Result<T, E>) -> Option<T> {
        match self.object.get(name) {
            None | Some(Value::Null) => self.noted(name, Err("is required")),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(number) => self.noted(name, read(number)),
                None => self.noted(name, Err("must be a whole number within ±2147483647")),
            },
            Some(_) => self.noted(name, Err("must be a whole number")),
        }
    }

    fn header_key(&mut self, headers: &HeaderMap) -> Option<String> {
        let value = headers.get("idempotency-key")?;
        let key = value.to_str().map_err(|_| "must be printable").and_then(read_key);
        self.noted("Idempotency-Key", key)
    }

    fn intent(&mut self, header: Option<String>) -> Option<Intent> {
        let product = self.text("productId", Sku::parse);
        let delta = self.integer("delta", Delta::new);
        let version = match self.object.get("version") {
            Some(Value::Null) => Some(None),
            _ => self
                .integer("version", |version| {
                    u64::try_from(version).ok().filter(|version| *version <= VERSION_MAX).ok_or("must not be negative")
                })
                .map(Some),
        };
        let in_body = self.object.get("idempotencyKey").is_some_and(|key| !key.is_null());
        let key = match header {
            Some(header) if !in_body => Some(header),
            header => self.text("idempotencyKey", |key| match header {
                Some(header) if header != key => Err("differs from the Idempotency-Key header"),
                _ => read_key(key),
            }),
        };
        Some(Intent { key: key?, product: product?.to_string(), delta: delta?.get(), version: version? })
    }

    fn finish<T>(self, value: Option<T>) -> Result<T, ApiError> {
        match value {
            Some(value) if self.issues.is_empty() => Ok(value),
            _ => Err(ApiError::bad_fields(&self.issues)),
        }
    }
}

fn read_key(key: &str) -> Result<String, &'static str> {
    if (1..=255).contains(&key.chars().count()) { Ok(key.to_owned()) } else { Err("must be 1 to 255 characters") }
}
