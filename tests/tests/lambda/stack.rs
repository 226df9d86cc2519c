//! A stack in which each event starts its function afresh.

use serde_json::Value;

use crate::cloud::Cloud;
use crate::program::Program;
use crate::yaml::Template;

/// A table, queues and keys, without a function that runs.
pub(crate) struct Stack {
    template: Template,
    pub(crate) cloud: Cloud,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self { template: Template::read(), cloud: Cloud::start().await }
    }

    /// Starts the function for one event.
    pub(crate) async fn invoke(&self, function: &str, event: &Value) -> Value {
        Program::start(&self.template, function, &self.cloud).await.invoke(event).await
    }

    /// The body of the answer, which has this status.
    pub(crate) async fn ask(&self, function: &str, event: &Value, status: u16) -> Value {
        let answer = self.invoke(function, event).await;
        assert_eq!(answer["statusCode"], status, "{function}: {answer}");
        serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default()
    }
}
