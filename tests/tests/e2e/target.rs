//! What the suite runs against.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::aws::Stack;
use crate::local::Runner;

/// Long enough for two ticks of a schedule, which come once a minute in AWS, and what follows from them.
const PATIENCE: Duration = Duration::from_secs(180);

/// A part that not every target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// An HTTP gateway with the template's routes.
    Gateway,
    /// Queues that can be written to and looked into from outside.
    QueueAccess,
    /// Moving dead letters back by the queue service itself.
    Redrive,
}

/// A status and a body, `null` when there was no JSON.
pub(crate) type Answer = (u16, Value);

/// The product, somewhere.
pub(crate) enum Target {
    Local(Runner),
    Aws(Stack),
}

impl Target {
    /// The stack that the environment names, or a local runner that asks the marketplace at `marketplace`.
    pub(crate) async fn start(marketplace: &str) -> Self {
        match Stack::of_environment().await {
            Some(stack) => Self::Aws(stack),
            None => Self::Local(Runner::start(marketplace).await),
        }
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Local(_) => "the local runner".to_owned(),
            Self::Aws(stack) => format!("the stack at {}", stack.endpoint()),
        }
    }

    /// Why a part is not there; `None` when it is.
    pub(crate) async fn lack(&self, part: Part) -> Option<String> {
        match self {
            Self::Aws(stack) => stack.lack(part).await,
            Self::Local(_) => Some(
                match part {
                    Part::Gateway => "the runner has no gateway; its own tests hold its routes to the template",
                    Part::QueueAccess => "the runner's queues cannot be reached from outside; its own tests fill them",
                    Part::Redrive => "the runner does not move dead letters",
                }
                .to_owned(),
            ),
        }
    }

    /// The stack, for checks that take its queues.
    pub(crate) fn stack(&self) -> &Stack {
        match self {
            Self::Aws(stack) => stack,
            Self::Local(_) => panic!("this check should have been left out"),
        }
    }

    /// Asks the API, with these headers.
    pub(crate) async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        match self {
            Self::Local(runner) => runner.ask(method, path, headers, body).await,
            Self::Aws(stack) => stack.ask(method, path, headers, body).await,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[("x-api-key", "demo")], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, &[("x-api-key", "demo")], Some(&body.to_string())).await
    }

    /// Waits until an answer is what `expected` accepts.
    pub(crate) async fn eventually(&self, path: &str, expected: impl Fn(&Answer) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if expected(&answer) {
                return answer.1;
            }
            assert!(Instant::now() < end, "{path} stayed {answer:?}");
            sleep(Duration::from_millis(300)).await;
        }
    }
}
