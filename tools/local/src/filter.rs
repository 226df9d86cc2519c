//! Event patterns: which records of a stream wake a function, judged as the event source of AWS judges them.
//!
//! Owns the part of the pattern language that the template uses. An operator that is not known here is an error when
//! the pattern is read, never a record that is let through or lost.

use serde_json::Value;

/// A pattern: every field that it names must match.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Vec<(String, Matcher)>);

#[derive(Debug, Clone, PartialEq)]
enum Matcher {
    Fields(Pattern),
    AnyOf(Vec<Rule>),
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Equals(Value),
    Prefix(String),
}

/// Why a text is not a pattern that is understood here.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPattern {
    /// It is not JSON.
    #[error("is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A part of it is not understood.
    #[error("has a part that is not understood here: {0}")]
    Part(Value),
}

impl Pattern {
    /// Reads a pattern from its JSON text.
    ///
    /// # Errors
    /// [`InvalidPattern`] when it is not JSON, or uses more than fields, lists of values and `prefix`.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        Self::from_value(serde_json::from_str(text)?)
    }

    fn from_value(value: Value) -> Result<Self, InvalidPattern> {
        let Value::Object(fields) = value else { return Err(InvalidPattern::Part(value)) };
        let fields = fields.into_iter().map(|(name, value)| Ok((name, Matcher::from_value(value)?)));
        Ok(Self(fields.collect::<Result<_, InvalidPattern>>()?))
    }

    /// Whether an event has all that the pattern asks for.
    pub fn matches(&self, event: &Value) -> bool {
        self.0.iter().all(|(name, matcher)| match (matcher, event.get(name)) {
            (Matcher::Fields(pattern), Some(value)) => pattern.matches(value),
            (Matcher::AnyOf(rules), Some(value)) => rules.iter().any(|rule| rule.matches(value)),
            (_, None) => false,
        })
    }
}

impl Matcher {
    fn from_value(value: Value) -> Result<Self, InvalidPattern> {
        match value {
            Value::Object(_) => Ok(Self::Fields(Pattern::from_value(value)?)),
            Value::Array(rules) => Ok(Self::AnyOf(rules.into_iter().map(Rule::from_value).collect::<Result<_, _>>()?)),
            other => Err(InvalidPattern::Part(other)),
        }
    }
}

impl Rule {
    fn from_value(value: Value) -> Result<Self, InvalidPattern> {
        match &value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(Self::Equals(value)),
            Value::Object(operator) if operator.len() == 1 => match operator.get("prefix") {
                Some(Value::String(prefix)) => Ok(Self::Prefix(prefix.clone())),
                _ => Err(InvalidPattern::Part(value)),
            },
            Value::Object(_) | Value::Array(_) => Err(InvalidPattern::Part(value)),
        }
    }

    fn matches(&self, value: &Value) -> bool {
        match self {
            Self::Equals(expected) => expected == value,
            Self::Prefix(prefix) => value.as_str().is_some_and(|text| text.starts_with(prefix)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prefix_is_looked_for_at_its_place_only() {
        let pattern = Pattern::parse(r#"{"dynamodb":{"Keys":{"sk":{"S":[{"prefix":"L#"}]}}}}"#).unwrap();
        let event = |sk: Value| json!({"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": "L#"}, "sk": sk}}});
        assert!(pattern.matches(&event(json!({"S": "L#shop"}))));
        assert!(pattern.matches(&event(json!({"S": "L#"}))));
        assert!(!pattern.matches(&event(json!({"S": "J#L#"}))));
        assert!(!pattern.matches(&event(json!({"N": "1"}))));
        assert!(!pattern.matches(&json!({})));
    }

    #[test]
    fn one_value_of_a_list_and_every_field_must_match() {
        let pattern = Pattern::parse(r#"{"eventName":["INSERT","MODIFY",{"prefix":"RE"}],"n":[1,null]}"#).unwrap();
        assert!(pattern.matches(&json!({"eventName": "MODIFY", "n": 1})));
        assert!(pattern.matches(&json!({"eventName": "REMOVE", "n": null})));
        assert!(!pattern.matches(&json!({"eventName": "MODIFY", "n": 2})));
        assert!(!pattern.matches(&json!({"eventName": "MODIFY"})));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in ["", "[]", r#"{"a":1}"#, r#"{"a":[{"suffix":"x"}]}"#, r#"{"a":[{"prefix":1}]}"#, r#"{"a":[[1]]}"#] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
