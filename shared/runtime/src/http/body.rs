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
