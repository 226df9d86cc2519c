//! The functions of the template: their programs, the variables that a deployment would set, and their events.

use std::path::{Path, PathBuf};

use evenstock_app::Clock;
use evenstock_runtime::SystemClock;
use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

use crate::Failure;

/// The day that the events tell of. Deltas from long ago are refused, so in batches it becomes yesterday.
const DAY_OF_THE_EVENTS: &str = "2026-11-20";

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Stands for every secret that the template makes or asks for.
const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The template as data.
pub(crate) struct Functions {
    template: Yaml,
    all: Vec<Function>,
}

/// A function.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    /// The name of its folder.
    pub(crate) name: String,
    logical_id: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn json(path: &str) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))?;
    Ok(serde_json::from_str(&text)?)
}

/// An event of `events/`, by its file's name; of a batch its first record, so that functions compare.
pub(crate) fn event(name: &str) -> Result<Value, Failure> {
    let mut event = json(&format!("events/{name}.json"))?;
    let Some(records) = event.get_mut("Records").and_then(Value::as_array_mut) else {
        return Ok(event);
    };
    records.truncate(1);
    let now = SystemClock.now().plus_millis(-DAY_MS).to_string();
    let yesterday = now.split('T').next().unwrap_or_default();
    Ok(serde_json::from_str(&event.to_string().replace(DAY_OF_THE_EVENTS, yesterday))?)
}

/// The events that must have been before, and the HTTP status of the answer, where it has one.
pub(crate) fn expected(name: &str) -> Result<(Vec<String>, Option<Value>), Failure> {
    let expected = json(&format!("events/expected/{name}.json"))?;
    let before = expected.get("after").and_then(Value::as_array).into_iter().flatten();
    let before = before.filter_map(Value::as_str).map(str::to_owned).collect();
    Ok((before, expected.pointer("/answer/statusCode").cloned()))
}

impl Functions {
    pub(crate) fn read() -> Result<Self, Failure> {
        let template: Yaml = serde_yaml_ng::from_str(&std::fs::read_to_string(root().join("template.yaml"))?)?;
        let resources = template.get("Resources").and_then(Yaml::as_mapping).ok_or("the template has no resources")?;
        let mut all = Vec::new();
        for (id, resource) in resources {
            let binary = at(resource, &["Metadata", "BuildProperties", "Binary"]).and_then(Yaml::as_str);
            if let (Some(id), Some(binary)) = (id.as_str(), binary) {
                let name = binary.trim_start_matches("evenstock-").to_owned();
                all.push(Function { name, logical_id: id.to_owned() });
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { template, all })
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Function> {
        self.all.iter()
    }

    /// The function that an event is for: the one whose name says most of the event's.
    pub(crate) fn of_event(&self, event: &str) -> Result<&Function, Failure> {
        let fitting = self.all.iter().filter(|function| {
            let rest = event.strip_prefix(&function.name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        });
        fitting.max_by_key(|function| function.name.len()).ok_or_else(|| format!("{event} is for no function").into())
    }

    /// The first event of a function, in the order of their names.
    pub(crate) fn event_of(&self, function: &Function) -> Result<String, Failure> {
        let mut names = Vec::new();
        for file in std::fs::read_dir(root().join("events"))? {
            let name = file?.file_name().into_string().unwrap_or_default();
            if let Some(event) = name.strip_suffix(".json")
                && self.of_event(event)?.name == function.name
            {
                names.push(event.to_owned());
            }
        }
        names.into_iter().min().ok_or_else(|| format!("{} has no event", function.name).into())
    }

    /// The variables that the template sets for a function, as a deployment would, with `endpoint` for all of AWS.
    pub(crate) fn environment(&self, function: &Function, table: &str, endpoint: &str) -> Vec<(String, String)> {
        let resource = self.template.get("Resources").and_then(|all| all.get(function.logical_id.as_str()));
        let own = resource.and_then(|resource| at(resource, &["Properties", "Environment", "Variables"]));
        let shared = at(&self.template, &["Globals", "Function", "Environment", "Variables"]);
        let all = shared.into_iter().chain(own).filter_map(Yaml::as_mapping).flatten();
        let mut variables: Vec<_> = all
            .filter_map(|(name, value)| Some((name.as_str()?.to_owned(), self.resolved(value, table, endpoint)?)))
            .collect();
        let lambda = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            ("AWS_SESSION_TOKEN", SECRET),
            ("AWS_LAMBDA_FUNCTION_NAME", "evenstock-bench"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
        ];
        variables.extend(lambda.map(|(name, value)| (name.to_owned(), value.to_owned())));
        variables
    }

    fn resolved(&self, value: &Yaml, table: &str, endpoint: &str) -> Option<String> {
        let Yaml::Tagged(tagged) = value else {
            return plain(value);
        };
        let text = tagged.value.as_str()?;
        if text.contains("{{resolve:secretsmanager:") {
            return Some(SECRET.to_owned());
        }
        let name = text.split('.').next().unwrap_or_default();
        if let Some(parameter) = self.template.get("Parameters").and_then(|all| all.get(name)) {
            return parameter.get("Default").map_or_else(|| Some("secret".to_owned()), plain);
        }
        let resource = self.template.get("Resources").and_then(|all| all.get(name));
        Some(match resource.and_then(|resource| resource.get("Type")).and_then(Yaml::as_str) {
            Some("AWS::DynamoDB::Table") => table.to_owned(),
            Some("AWS::SQS::Queue") if text == name => format!("{endpoint}/000000000000/{name}"),
            Some("AWS::Events::EventBus") => name.to_owned(),
            _ => format!("arn:aws:local:::{name}"),
        })
    }
}

fn at<'a>(value: &'a Yaml, path: &[&str]) -> Option<&'a Yaml> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

fn plain(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Number(number) => Some(number.to_string()),
        Yaml::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
