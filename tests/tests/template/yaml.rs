//! Reading the template as data. `!Ref X` and `!GetAtt X.Arn` stay what they are: a tag with a value.

use std::path::PathBuf;

use serde_yaml_ng::Value;

const NULL: &Value = &Value::Null;

/// The folder of the project.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A YAML file of the project.
pub(crate) fn read(path: &str) -> Value {
    serde_yaml_ng::from_str(&std::fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

/// The template.
pub(crate) struct Template(Value);

impl Template {
    pub(crate) fn read() -> Self {
        Self(read("template.yaml"))
    }

    pub(crate) fn globals(&self) -> &Value {
        &self.0["Globals"]["Function"]
    }

    /// Names and bodies of all resources of a type.
    pub(crate) fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let resources = self.0["Resources"].as_mapping().unwrap();
        let named = resources.iter().map(|(name, resource)| (name.as_str().unwrap(), resource));
        named.filter(move |(_, resource)| resource["Type"] == kind)
    }

    pub(crate) fn functions(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.of_type("AWS::Serverless::Function")
    }

    pub(crate) fn resource(&self, name: &str) -> &Value {
        let resource = &self.0["Resources"][name];
        assert!(!resource.is_null(), "there is no resource {name}");
        resource
    }

    /// How long a function may run, in seconds.
    pub(crate) fn timeout_of(&self, function: &Value) -> i64 {
        let own = function["Properties"]["Timeout"].as_i64();
        own.or_else(|| self.globals()["Timeout"].as_i64()).unwrap()
    }

    /// A function's triggers of a kind.
    pub(crate) fn triggers<'a>(function: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let events = function["Properties"]["Events"].as_mapping();
        events.into_iter().flatten().map(|(_, event)| event).filter(move |event| event["Type"] == kind)
    }
}

/// The name of the function's folder, which is that of its binary without the project's name.
pub(crate) fn binary_of(function: &Value) -> String {
    let binary = function["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap();
    binary.strip_prefix("evenstock-").unwrap().to_owned()
}

/// What a reference points to.
pub(crate) trait Target {
    /// The resource that `!Ref`, `!GetAtt` or `!Sub '${X.Arn}…'` names.
    fn target(&self) -> String;
}

impl Target for Value {
    fn target(&self) -> String {
        let text = match self {
            Self::Tagged(tagged) => tagged.value.as_str().unwrap_or_default(),
            other => other.as_str().unwrap_or_default(),
        };
        let inner = text.split_once("${").and_then(|(_, rest)| rest.split_once('}')).map_or(text, |(name, _)| name);
        inner.split('.').next().unwrap_or_default().to_owned()
    }
}

/// A list, or the one value that stands for a list of one.
pub(crate) fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Sequence(values) => values.iter().collect(),
        other if other == NULL => Vec::new(),
        other => vec![other],
    }
}
