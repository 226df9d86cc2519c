//! A place in the template: a value together with the way to it, so that every error names the place.
//!
//! Owns the short forms of the intrinsic functions. Must not know what the values mean.

use std::collections::BTreeMap;

use serde_yaml_ng::{Mapping, Value};

use super::TemplateError;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    value: &'a Value,
    path: String,
    parameters: &'a BTreeMap<String, String>,
}

/// The default of every parameter that has one.
pub(super) fn parameter_defaults(document: &Value) -> Result<BTreeMap<String, String>, TemplateError> {
    let none = BTreeMap::new();
    let root = Node::root(document, &none);
    let mut defaults = BTreeMap::new();
    let Some(parameters) = root.get("Parameters") else { return Ok(defaults) };
    for (name, parameter) in parameters.entries()? {
        if let Some(default) = parameter.get("Default") {
            defaults.insert(name.to_owned(), default.text()?);
        }
    }
    Ok(defaults)
}

impl<'a> Node<'a> {
    pub(super) fn root(document: &'a Value, parameters: &'a BTreeMap<String, String>) -> Self {
        Self { value: document, path: String::new(), parameters }
    }

    /// The same value under another path.
    pub(super) fn at(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }

    fn child(&self, name: &str, value: &'a Value) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { value, path, parameters: self.parameters }
    }

    pub(super) fn wrong(&self, issue: impl Into<String>) -> TemplateError {
        TemplateError::Place { path: self.path.clone(), issue: issue.into() }
    }

    fn mapping(&self) -> Result<&'a Mapping, TemplateError> {
        self.value.as_mapping().ok_or_else(|| self.wrong("must be a mapping"))
    }

    /// A property that may be absent.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        self.value.as_mapping()?.get(name).map(|value| self.child(name, value))
    }

    /// A property that must be there.
    pub(super) fn need(&self, name: &str) -> Result<Self, TemplateError> {
        let value = self.mapping()?.get(name);
        value.map(|value| self.child(name, value)).ok_or_else(|| self.wrong(format!("lacks {name}")))
    }

    pub(super) fn entries(&self) -> Result<Vec<(&'a str, Self)>, TemplateError> {
        let entries = self.mapping()?.iter().map(|(name, value)| {
            let name = name.as_str().ok_or_else(|| self.wrong("has a name that is no text"))?;
            Ok((name, self.child(name, value)))
        });
        entries.collect()
    }

    /// Allows these properties and no others.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), TemplateError> {
        match self.entries()?.into_iter().find(|(name, _)| !known.contains(name)) {
            Some((_, unknown)) => Err(unknown.wrong("is not known here")),
            None => Ok(()),
        }
    }

    pub(super) fn list(&self) -> Result<Vec<Self>, TemplateError> {
        let items = self.value.as_sequence().ok_or_else(|| self.wrong("must be a list"))?;
        Ok(items.iter().enumerate().map(|(place, value)| self.child(&place.to_string(), value)).collect())
    }

    /// A text or number, with `!Ref` and `!Sub` filled from the parameters' defaults.
    pub(super) fn text(&self) -> Result<String, TemplateError> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(flag) => Ok(flag.to_string()),
            Value::Tagged(tagged) if tagged.tag == "Ref" => self.parameter(self.tagged_text(&tagged.value)?),
            Value::Tagged(tagged) if tagged.tag == "Sub" => self.substituted(self.tagged_text(&tagged.value)?),
            _ => Err(self.wrong("must be a text, a number, !Ref or !Sub of parameters")),
        }
    }

    /// A whole number that fits `T`.
    pub(super) fn number<T: TryFrom<i64>>(&self) -> Result<T, TemplateError> {
        let number = self.text()?.parse::<i64>().ok().and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| self.wrong("must be a whole number of the right size"))
    }

    /// The logical id that `!Ref` or `!GetAtt` names; of the latter, `attribute` must be what it asks for.
    pub(super) fn resource(&self, attribute: &str) -> Result<String, TemplateError> {
        let name = match self.value {
            Value::Tagged(tagged) if tagged.tag == "Ref" => Some(self.tagged_text(&tagged.value)?),
            Value::Tagged(tagged) if tagged.tag == "GetAtt" => {
                let parts = self.tagged_text(&tagged.value)?.split_once('.');
                parts.filter(|(_, wanted)| *wanted == attribute).map(|(name, _)| name)
            }
            _ => None,
        };
        name.map(str::to_owned).ok_or_else(|| self.wrong(format!("must be !Ref NAME or !GetAtt NAME.{attribute}")))
    }

    /// A list's items, or the one value that stands for a list of one.
    pub(super) fn one_or_more(&self) -> Vec<Self> {
        self.list().unwrap_or_else(|_| vec![self.clone()])
    }

    /// The resource that an ARN names: `!GetAtt NAME.Arn`, or `!Sub '${NAME.Arn}/index/X'` for one inside of it.
    pub(super) fn thing(&self) -> Result<String, TemplateError> {
        match self.value {
            Value::Tagged(tagged) if tagged.tag == "Sub" => {
                let inner =
                    self.tagged_text(&tagged.value)?.strip_prefix("${").and_then(|text| text.split_once(".Arn}"));
                let (name, rest) = inner.ok_or_else(|| self.wrong("must begin with ${NAME.Arn}"))?;
                Ok(format!("{name}{rest}"))
            }
            _ => self.resource("Arn"),
        }
    }

    fn tagged_text(&self, value: &'a Value) -> Result<&'a str, TemplateError> {
        value.as_str().ok_or_else(|| self.wrong("must have a text behind its tag"))
    }

    fn parameter(&self, name: &str) -> Result<String, TemplateError> {
        let default = self.parameters.get(name).cloned();
        default.ok_or_else(|| self.wrong(format!("refers to {name}, which is no parameter with a default")))
    }

    fn substituted(&self, text: &str) -> Result<String, TemplateError> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, reference)) = rest.split_once("${") {
            let (name, after) = reference.split_once('}').ok_or_else(|| self.wrong("has ${ without }"))?;
            filled.push_str(before);
            filled.push_str(&self.parameter(name)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}
