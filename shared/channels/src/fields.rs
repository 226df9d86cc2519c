//! Reads the fields of one JSON object and gathers everything that is wrong with them, not only the first.
//!
//! Each value stays a piece of JSON text until its own reader takes it. So a wrong value harms only its own field,
//! `7.0` and `1e3` are told apart from integers, and depth costs no stack. Must not know which marketplace sent it.

use core::fmt;
use core::fmt::Display;

use evenstock_domain::{LocationId, Quantity, Sku};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::FieldIssue;

/// The location of stock when neither a payload nor a store names one.
pub(crate) const DEFAULT_LOCATION: &str = "default";

/// Reads one JSON text, borrowing from it.
///
/// # Errors
/// What is wrong with it, never quoting it; `shape` says what was expected.
pub(crate) fn parse<'a, T: Deserialize<'a>>(json: &'a str, shape: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| {
        // A data error quotes the value that it met; the other texts are fixed.
        if error.is_data() { format!("must be {shape}") } else { format!("is not valid JSON: {error}") }
    })
}

/// Reads a string.
pub(crate) fn text(value: &RawValue) -> Result<String, String> {
    parse(value.get(), "a string")
}

/// Reads an integer, written as one. One beyond 64 bits becomes the nearest that fits, which is out of every range of
/// ours too.
pub(crate) fn integer(value: &RawValue) -> Result<i64, String> {
    let digits = value.get();
    if !digits.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        Err("must be an integer".to_owned())
    } else if digits.contains(['.', 'e', 'E']) {
        Err("must be an integer, without fraction or exponent".to_owned())
    } else {
        let nearest = if digits.starts_with('-') { i64::MIN } else { i64::MAX };
        Ok(digits.parse().unwrap_or(nearest))
    }
}

/// Reads a product's name.
pub(crate) fn sku(value: &RawValue) -> Result<Sku, String> {
    Sku::parse(&text(value)?).map_err(|error| error.to_string())
}

/// Reads a number of units.
pub(crate) fn quantity(value: &RawValue) -> Result<Quantity, String> {
    Quantity::new(integer(value)?).map_err(|error| error.to_string())
}

/// Issues in one line.
pub(crate) fn joined(issues: &[FieldIssue]) -> String {
    issues.iter().map(FieldIssue::to_string).collect::<Vec<_>>().join("; ")
}

/// The fields of one object, and what was found wrong with them so far.
pub(crate) struct Fields<'a> {
    fields: Vec<(String, &'a RawValue)>,
    issues: Vec<FieldIssue>,
}

impl<'a> Fields<'a> {
    /// Reads the object. Its fields are looked at when they are asked for.
    ///
    /// # Errors
    /// What is wrong when it is not JSON, or not an object.
    pub(crate) fn parse(json: &'a str) -> Result<Self, String> {
        parse(json, "a JSON object")
    }

    /// Reads a field that must be there.
    pub(crate) fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'a RawValue) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.find(name).and_then(|value| value.ok_or_else(|| "is required".to_owned()));
        self.note(name, value.and_then(read))
    }

    /// Reads a field that may be missing or `null`; `None` when what is there is wrong.
    pub(crate) fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'a RawValue) -> Result<T, String>,
    ) -> Option<Option<T>> {
        let value = self.find(name).and_then(|value| value.map(read).transpose());
        self.note(name, value)
    }

    /// What the object wraps, when it holds nothing else but a `schema` for its `payload`.
    pub(crate) fn wrapped(&self) -> Option<&'a RawValue> {
        let others = self.fields.iter().any(|(name, _)| !matches!(name.as_str(), "schema" | "payload"));
        let (_, payload) = self.fields.iter().find(|(name, _)| name == "payload").filter(|_| !others)?;
        Some(payload)
    }

    /// Reads a place; a payload that names none means `default`.
    pub(crate) fn location(&mut self, name: &str, default: &str) -> Option<LocationId> {
        let named = self.find(name).and_then(|value| value.map_or_else(|| Ok(default.to_owned()), text));
        let location = named.and_then(|named| LocationId::parse(&named).map_err(|error| error.to_string()));
        self.note(name, location)
    }

    /// Keeps an issue under the name of its field.
    pub(crate) fn note<T, E: Display>(&mut self, name: &str, value: Result<T, E>) -> Option<T> {
        let noted = value.map_err(|issue| FieldIssue { field: name.to_owned(), issue: issue.to_string() });
        noted.map_err(|issue| self.issues.push(issue)).ok()
    }

    /// Everything that was wrong. Not empty when a field could not be read.
    pub(crate) fn into_issues(self) -> Vec<FieldIssue> {
        self.issues
    }

    /// A `null` is no value. Two values are a mistake, because readers differ on which of them counts.
    fn find(&self, name: &str) -> Result<Option<&'a RawValue>, String> {
        let mut values = self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| *value);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err("must not appear more than once".to_owned()),
            (value, None) => Ok(value.filter(|value| value.get() != "null")),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = object.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields { fields, issues: Vec::new() })
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}
