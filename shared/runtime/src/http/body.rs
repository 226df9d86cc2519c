//! Request bodies: bounded, JSON, and read field by field so that every wrong field is reported at once.

use core::fmt::Display;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde_json::{Map, Value};

use super::{ApiError, FieldIssue};

/// The body of a request, which is a JSON object.
#[derive(Debug, Clone)]
pub struct JsonBody(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        // Larger bodies than the route's limit are cut off by its layer, and are the only way this can fail that the
        // caller can mend.
        let bytes = Bytes::from_request(request, state).await.map_err(|_| ApiError::too_large())?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(ApiError::bad_field("body", "must be a JSON object")),
            Err(error) => Err(ApiError::bad_field("body", format!("must be JSON: {error}"))),
        }
    }
}

/// Reads the fields of an object, keeping what is wrong with each.
#[derive(Debug)]
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    issues: Vec<FieldIssue>,
}

impl<'a> Fields<'a> {
    /// Begins to read an object.
    pub const fn of(object: &'a Map<String, Value>) -> Self {
        Self { object, issues: Vec::new() }
    }

    /// A field that must hold text that `read` accepts.
    pub fn text<T, E: Display>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        match self.object.get(name) {
            None | Some(Value::Null) => self.refuse(name, "is required"),
            Some(Value::String(text)) => read(text).map_or_else(|error| self.refuse(name, error), Some),
            Some(_) => self.refuse(name, "must be text"),
        }
    }

    /// A field that must hold a whole number that `read` accepts.
    pub fn integer<T, E: Display>(&mut self, name: &str, read: impl FnOnce(i64) -> Result<T, E>) -> Option<T> {
        match self.object.get(name) {
            None | Some(Value::Null) => self.refuse(name, "is required"),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(number) => read(number).map_or_else(|error| self.refuse(name, error), Some),
                None => self.refuse(name, "must be a whole number within ±2147483647"),
            },
            Some(_) => self.refuse(name, "must be a whole number"),
        }
    }

    /// A field that must be there, and hold a whole number that `read` accepts, or an explicit `null`.
    pub fn integer_or_null<T, E: Display>(
        &mut self,
        name: &str,
        read: impl FnOnce(i64) -> Result<T, E>,
    ) -> Option<Option<T>> {
        match self.object.get(name) {
            Some(Value::Null) => Some(None),
            _ => self.integer(name, read).map(Some),
        }
    }

    /// A field that must hold a list.
    pub fn list(&mut self, name: &str) -> Option<&'a [Value]> {
        match self.object.get(name) {
            None | Some(Value::Null) => self.refuse(name, "is required"),
            Some(Value::Array(list)) => Some(list),
            Some(_) => self.refuse(name, "must be a list"),
        }
    }

    /// A field that must hold `true` or `false`.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        match self.object.get(name) {
            None | Some(Value::Null) => self.refuse(name, "is required"),
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => self.refuse(name, "must be true or false"),
        }
    }

    /// A field that may be missing or `null`; when it is not, `read` reads it.
    pub fn optional<T>(&mut self, name: &str, read: impl FnOnce(&mut Self, &str) -> Option<T>) -> Option<Option<T>> {
        if self.has(name) { read(self, name).map(Some) } else { Some(None) }
    }

    /// A field that must hold a list of at most `rows_max` objects, each read by `read`; what is wrong inside is named
    /// like `updates[3].delta`.
    pub fn rows<T>(
        &mut self,
        name: &str,
        rows_max: usize,
        mut read: impl FnMut(&mut Fields<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let list = self.list(name)?;
        if list.len() > rows_max {
            return self.refuse(name, format_args!("must hold at most {rows_max}"));
        }
        let mut rows = Vec::with_capacity(list.len());
        for (place, row) in list.iter().enumerate() {
            let Some(object) = row.as_object() else {
                self.refuse::<()>(&format!("{name}[{place}]"), "must be a JSON object");
                continue;
            };
            let mut fields = Fields::of(object);
            rows.extend(read(&mut fields));
            let issues = fields.issues.into_iter();
            self.issues.extend(issues.map(|FieldIssue { field, issue }| {
                let field = format!("{name}[{place}].{field}");
                FieldIssue { field, issue }
            }));
        }
        (rows.len() == list.len()).then_some(rows)
    }

    /// Whether the field is there, be it `null`.
    pub fn names(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// Whether the field is there and not `null`.
    pub fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    /// Notes what is wrong with a field.
    pub fn refuse<T>(&mut self, name: &str, issue: impl Display) -> Option<T> {
        self.issues.push(FieldIssue { field: name.to_owned(), issue: issue.to_string() });
        None
    }

    /// The fields, once all of them were read.
    ///
    /// # Errors
    /// A 400 that names every field that was wrong.
    pub fn finish<T: Complete>(self, fields: T) -> Result<T::Values, ApiError> {
        match fields.complete() {
            Some(values) if self.issues.is_empty() => Ok(values),
            _ => Err(ApiError::bad_request(self.issues)),
        }
    }
}

/// A tuple of fields that may all be there.
pub trait Complete {
    /// The tuple of their values.
    type Values;

    /// The values, if all of them are there.
    fn complete(self) -> Option<Self::Values>;
}

macro_rules! complete {
    ($($name:ident)+) => {
        impl<$($name),+> Complete for ($(Option<$name>,)+) {
            type Values = ($($name,)+);

            #[expect(non_snake_case, reason = "the type's letter names its value")]
            fn complete(self) -> Option<Self::Values> {
                let ($($name,)+) = self;
                Some(($($name?,)+))
            }
        }
    };
}

complete!(A B);
complete!(A B C);
complete!(A B C D);
complete!(A B C D E);

/// A name from the path, already percent-decoded.
///
/// # Errors
/// A 400 that names `field`.
pub fn read_path<T, E: Display>(
    field: &str,
    text: &str,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, ApiError> {
    read(text).map_err(|error| ApiError::bad_field(field, error.to_string()))
}

#[cfg(test)]
mod tests {
    use evenstock_domain::{Delta, Quantity, Sku};
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn read<T>(object: &Value, read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Result<T, Vec<(String, String)>> {
        let mut fields = Fields::of(object.as_object().unwrap());
        let value = read(&mut fields);
        let error = match fields.finish((value, Some(()))) {
            Ok((value, ())) => return Ok(value),
            Err(error) => error,
        };
        assert_eq!(error.code(), "bad_request");
        Err(error.details.into_iter().map(|detail| (detail.field, detail.issue)).collect())
    }

    fn issue<T>(field: &str, issue: &str) -> Result<T, Vec<(String, String)>> {
        Err(vec![(field.to_owned(), issue.to_owned())])
    }

    #[rstest]
    #[case::least(json!(-2_147_483_647), -2_147_483_647)]
    #[case::greatest(json!(2_147_483_647), 2_147_483_647)]
    fn whole_numbers_are_read(#[case] delta: Value, #[case] expected: i64) {
        let read = read(&json!({ "delta": delta }), |fields| fields.integer("delta", Delta::new));
        assert_eq!(read.map(Delta::get), Ok(expected));
    }

    #[rstest]
    #[case::missing(json!({}), "is required")]
    #[case::null(json!({ "delta": null }), "is required")]
    #[case::zero(json!({ "delta": 0 }), "must be non-zero")]
    #[case::negative_zero(json!({ "delta": -0 }), "must be non-zero")]
    #[case::fraction(json!({ "delta": 1.5 }), "must be a whole number within ±2147483647")]
    #[case::whole_float(json!({ "delta": 2.0 }), "must be a whole number within ±2147483647")]
    #[case::exponent(serde_json::from_str(r#"{ "delta": 1e3 }"#).unwrap(), "must be a whole number within ±2147483647")]
    #[case::beyond(json!({ "delta": 2_147_483_648_i64 }), "must be within ±2147483647")]
    #[case::beyond_64_bits(json!({ "delta": u64::MAX }), "must be a whole number within ±2147483647")]
    #[case::text(json!({ "delta": "5" }), "must be a whole number")]
    #[case::boolean(json!({ "delta": true }), "must be a whole number")]
    #[case::list(json!({ "delta": [5] }), "must be a whole number")]
    fn what_is_no_delta_is_named(#[case] object: Value, #[case] why: &str) {
        assert_eq!(read(&object, |fields| fields.integer("delta", Delta::new)), issue("delta", why));
    }

    #[rstest]
    #[case::missing(json!({}), "is required")]
    #[case::null(json!({ "sku": null }), "is required")]
    #[case::number(json!({ "sku": 7 }), "must be text")]
    #[case::empty(json!({ "sku": "" }), "must not be empty")]
    #[case::padded(json!({ "sku": " a" }), "must not begin or end with a space")]
    fn what_is_no_name_is_named(#[case] object: Value, #[case] why: &str) {
        assert_eq!(read(&object, |fields| fields.text("sku", Sku::parse)), issue("sku", why));
    }

    #[test]
    fn explicit_null_is_told_from_a_missing_field() {
        let version = |object: Value| read(&object, |fields| fields.integer_or_null("version", Quantity::new));
        assert_eq!(version(json!({ "version": null })), Ok(None));
        assert_eq!(version(json!({ "version": 3 })).map(|version| version.map(Quantity::get)), Ok(Some(3)));
        assert_eq!(version(json!({})), issue("version", "is required"));
        assert_eq!(version(json!({ "version": -1 })), issue("version", "must not be negative"));
    }

    #[test]
    fn lists_are_told_from_everything_else() {
        let length = |object: Value| read(&object, |fields| fields.list("updates").map(<[Value]>::len));
        assert_eq!(length(json!({ "updates": [1, null] })), Ok(2));
        assert_eq!(length(json!({ "updates": {} })), issue("updates", "must be a list"));
        assert_eq!(length(json!({ "updates": null })), issue("updates", "is required"));
    }

    #[test]
    fn every_wrong_field_is_reported_even_when_all_values_are_there() {
        let object = json!({ "delta": 0, "sku": "a" });
        let mut fields = Fields::of(object.as_object().unwrap());
        assert!(fields.has("sku") && !fields.has("version"));
        let sku = fields.text("sku", Sku::parse);
        let delta = fields.integer("delta", Delta::new);
        fields.refuse::<()>("header", "does not belong here");
        let error = fields.finish((sku, delta)).unwrap_err();
        assert_eq!(error.message(), "delta must be non-zero; header does not belong here");

        let mut fields = Fields::of(object.as_object().unwrap());
        let sku = fields.text("sku", Sku::parse);
        fields.refuse::<()>("header", "does not belong here");
        assert!(fields.finish((sku, Some(()))).is_err(), "an issue refuses a body whose values are all there");
    }
}
