//! What the deployment template says about the table, the queues and the triggers, as plain data.
//!
//! Owns the reading of `template.yaml`. What it does not know is an error that names the place: a local run that left
//! something out would look like a deployment and not be one. Must not know what is done with the data.

mod functions;
mod node;
mod resources;
mod roles;

use std::collections::BTreeMap;

use serde_yaml_ng::Value;

use crate::filter::Pattern;
use crate::queue::QueueSettings;
use crate::rights::Statement;
use node::Node;

/// The template of this very version.
const BUILT_IN: &str = include_str!("../../../../template.yaml");

/// The parts of the template that a local run needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Default values of the parameters that have one, as text.
    pub parameters: BTreeMap<String, String>,
    /// The one table.
    pub table: TableSettings,
    /// All queues, dead-letter queues included, in the template's order.
    pub queues: Vec<QueueSettings>,
    /// All functions, in the template's order.
    pub functions: Vec<FunctionSettings>,
    /// What each function with a role may call, by the function's logical id.
    pub rights: BTreeMap<String, Vec<Statement>>,
}

/// The table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSettings {
    /// Its logical id.
    pub name: String,
    /// Its primary key.
    pub keys: Keys,
    /// Its global indexes. They carry keys only.
    pub indexes: Vec<IndexSettings>,
    /// The attribute that says when an item expires, in seconds since the Unix epoch.
    pub ttl_attribute: Option<String>,
    /// Whether it has a stream, with old and new images.
    pub stream: bool,
}

/// A global index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSettings {
    /// Its name.
    pub name: String,
    /// Its key.
    pub keys: Keys,
}

/// A table's or an index's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The partition key.
    pub hash: KeyAttribute,
    /// The sort key.
    pub range: Option<KeyAttribute>,
}

/// An attribute that is part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAttribute {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: AttributeKind,
}

/// The types that a key may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeKind {
    /// `S`.
    Text,
    /// `N`.
    Number,
    /// `B`.
    Binary,
}

/// A function.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionSettings {
    /// Its logical id.
    pub logical_id: String,
    /// How long an invocation may take, in seconds.
    pub timeout_s: u64,
    /// What invokes it.
    pub triggers: Vec<Trigger>,
}

/// What invokes a function.
#[derive(Debug, Clone, PartialEq)]
pub enum Trigger {
    /// A route of the HTTP API.
    Http {
        /// The method, upper case.
        method: String,
        /// The path, with parameters in braces.
        path: String,
    },
    /// Messages of a queue; failed ones are named in the response.
    Sqs {
        /// The queue's logical id.
        queue: String,
        /// Messages in one invocation, at most.
        batch_size: usize,
        /// How long a batch may be gathered, in seconds.
        window_s: u64,
        /// Invocations at a time, at most; `None` without a limit.
        concurrency_max: Option<usize>,
    },
    /// A timer.
    Schedule {
        /// Time between two invocations, in seconds.
        every_s: u64,
    },
    /// Records of the table's stream, in order, from the oldest; the first failed one is named in the response.
    Stream {
        /// Records in one invocation, at most.
        batch_size: usize,
        /// How long a batch may be gathered, in seconds.
        window_s: u64,
        /// A record must match one of these; when there are none, every record is taken.
        filters: Vec<Pattern>,
    },
}

/// Why the template cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It is not YAML.
    #[error("template.yaml is not YAML")]
    Yaml(#[from] serde_yaml_ng::Error),
    /// A part of it is missing, or not what is understood here.
    #[error("template.yaml: {path} {issue}")]
    Place {
        /// Resource and property.
        path: String,
        /// What is wrong there.
        issue: String,
    },
}

impl Template {
    /// Reads the template that this program was built with.
    ///
    /// # Errors
    /// [`TemplateError`] when it holds something that a local run does not know.
    pub fn built_in() -> Result<Self, TemplateError> {
        Self::parse(BUILT_IN)
    }

    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError`] when a part that is needed is missing, or something is not known here.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let document: Value = serde_yaml_ng::from_str(text)?;
        let parameters = node::parameter_defaults(&document)?;
        let root = Node::root(&document, &parameters);
        let globals = root.get("Globals").and_then(|globals| globals.get("Function"));
        let resources = root.need("Resources")?;
        let mut tables = Vec::new();
        let mut queues = Vec::new();
        let mut functions = Vec::new();
        let mut rights = BTreeMap::new();
        for (name, resource) in resources.entries()? {
            // The resource's name begins every path below it.
            let resource = resource.at(name);
            match resource.need("Type")?.text()?.as_str() {
                "AWS::DynamoDB::Table" => tables.push(resources::table(name, &resource)?),
                "AWS::SQS::Queue" => queues.push(resources::queue(name, &resource)?),
                "AWS::Serverless::Function" => {
                    functions.push(functions::function(name, &resource, globals.as_ref())?);
                    if let Some(role) = resource.need("Properties")?.get("Role") {
                        let role = role.resource("Arn")?;
                        rights.insert(name.to_owned(), roles::calls(&resources.need(&role)?.at(&role))?);
                    }
                }
                kind if DEPLOYED_ONLY.contains(&kind) => {}
                kind => return Err(resource.wrong(format!("has type {kind}, which is not known here"))),
            }
        }
        let [table] = <[TableSettings; 1]>::try_from(tables)
            .map_err(|tables| resources.wrong(format!("must hold one table, not {}", tables.len())))?;
        let template = Self { table, queues, functions, rights, parameters: BTreeMap::new() };
        template.check_references(&resources)?;
        Ok(Self { parameters, ..template })
    }

    /// Every queue that is named must be there.
    fn check_references(&self, resources: &Node<'_>) -> Result<(), TemplateError> {
        let redrives = self.queues.iter().filter_map(|queue| Some(&queue.redrive.as_ref()?.dead_letter));
        let triggers = self.functions.iter().flat_map(|function| &function.triggers);
        let sources = triggers.filter_map(|trigger| match trigger {
            Trigger::Sqs { queue, .. } => Some(queue),
            Trigger::Http { .. } | Trigger::Schedule { .. } | Trigger::Stream { .. } => None,
        });
        match redrives.chain(sources).find(|name| self.queues.iter().all(|queue| queue.name != **name)) {
            Some(missing) => Err(resources.at(missing).wrong("is named as a queue and is none")),
            None => Ok(()),
        }
    }
}

/// Resources that only a deployment has: here the local run itself, or nothing, stands for them.
const DEPLOYED_ONLY: [&str; 10] = [
    "AWS::Events::EventBus",
    "AWS::IAM::Policy",
    // Read where a function names it.
    "AWS::IAM::Role",
    "AWS::KMS::Key",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Logs::LogGroup",
    "AWS::SecretsManager::Secret",
    "AWS::Serverless::Application",
    "AWS::Serverless::HttpApi",
    "AWS::SQS::QueuePolicy",
];

#[cfg(test)]
mod tests;
