//! The functions, as Lambda has them: each by its logical id in the template, wired to what stands in for AWS.

mod callbacks;
mod central;
mod operations;
mod orders;
mod queues;
mod site;
mod stock;
mod warehouses;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use axum::Router;
use evenstock_app::StoreError;
use evenstock_channels::{ClientError, WarehouseClientError};
use evenstock_runtime::http::AccessControl;
use evenstock_runtime::{ConfigError, Environment};
use futures::future::{BoxFuture, FutureExt};
use serde_json::{Value, json};

use crate::template::Template;
pub use queues::Queues;
use site::Site;

/// Handles a batch of a queue: the ids of the messages that failed, or why all did.
pub type BatchHandler = Arc<dyn Fn(SqsEvent) -> BoxFuture<'static, Result<Vec<String>, String>> + Send + Sync>;

/// Handles a batch of the stream: the sequence numbers of the records that failed.
pub type StreamHandler = Arc<dyn Fn(Event) -> BoxFuture<'static, Vec<String>> + Send + Sync>;

/// Handles a tick of a schedule: its report, or why it failed.
pub type TickHandler = Arc<dyn Fn() -> BoxFuture<'static, Result<Value, String>> + Send + Sync>;

/// Everything that can be triggered.
pub struct Functions {
    http: BTreeMap<&'static str, Router>,
    batches: BTreeMap<&'static str, BatchHandler>,
    ticks: BTreeMap<&'static str, TickHandler>,
    streams: BTreeMap<&'static str, StreamHandler>,
    /// Who may do what, for routes that only this machine has.
    pub(crate) access: AccessControl,
}

/// Why the functions cannot be wired.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// The environment.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The client of the marketplaces.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Callbacks cannot be sent.
    #[error(transparent)]
    Callbacks(#[from] evenstock_callback_worker::SetupError),
    /// The central system cannot be pushed to.
    #[error(transparent)]
    Central(#[from] evenstock_channel_publisher::SetupError),
    /// The first key could not be stored.
    #[error("the key `demo` cannot be stored")]
    Store(#[from] StoreError),
    /// The client of warehouses.
    #[error(transparent)]
    Warehouses(#[from] WarehouseClientError),
    /// What is called cannot be written down.
    #[error("RECORD_CALLS is no folder to write into")]
    Record(#[source] std::io::Error),
    /// A function that the template does not have, or that has no role.
    #[error("template.yaml gives {0} no role")]
    NoRole(&'static str),
    /// A name that is none.
    #[error("DEFAULT_ORGANIZATION is not a name")]
    Organization,
    /// The template has a trigger that this runner does not know how to serve.
    #[error("template.yaml: {function} has a trigger of kind {kind} that the local runner does not serve")]
    Unserved {
        /// The function.
        function: String,
        /// The trigger.
        kind: &'static str,
    },
}

impl Functions {
    /// Wires all functions to the table at `endpoint` and the queues.
    ///
    /// # Errors
    /// [`WiringError`] when the environment does not suffice, or the key `demo` cannot be stored.
    pub async fn wire(
        environment: &Environment,
        endpoint: &str,
        template: &Template,
        queues: impl Into<Queues>,
    ) -> Result<Self, WiringError> {
        let site = Site::open(environment, endpoint, template, queues.into()).await?;
        let mut functions = Self {
            http: BTreeMap::new(),
            batches: BTreeMap::new(),
            ticks: BTreeMap::new(),
            streams: BTreeMap::new(),
            access: site.access.clone(),
        };
        stock::wire(&site, &mut functions)?;
        orders::wire(&site, &mut functions)?;
        callbacks::wire(&site, &mut functions)?;
        central::wire(&site, &mut functions)?;
        operations::wire(&site, &mut functions)?;
        warehouses::wire(&site, &mut functions)?;
        Ok(functions)
    }

    /// A function's routes.
    ///
    /// # Errors
    /// [`WiringError::Unserved`] when it is none of those.
    pub fn http(&self, function: &str) -> Result<Router, WiringError> {
        self.http.get(function).cloned().ok_or_else(|| unserved(function, "HttpApi"))
    }

    /// A function that is given batches of a queue.
    ///
    /// # Errors
    /// [`WiringError::Unserved`] when it is none of those.
    pub fn batches(&self, function: &str) -> Result<BatchHandler, WiringError> {
        self.batches.get(function).cloned().ok_or_else(|| unserved(function, "SQS"))
    }

    /// A function that is called by a schedule.
    ///
    /// # Errors
    /// [`WiringError::Unserved`] when it is none of those.
    pub fn ticks(&self, function: &str) -> Result<TickHandler, WiringError> {
        self.ticks.get(function).cloned().ok_or_else(|| unserved(function, "Schedule"))
    }

    /// A function that is given the table's stream.
    ///
    /// # Errors
    /// [`WiringError::Unserved`] when it is none of those.
    pub fn stream(&self, function: &str) -> Result<StreamHandler, WiringError> {
        self.streams.get(function).cloned().ok_or_else(|| unserved(function, "DynamoDB"))
    }

    /// Serves routes; those of one function may come from several calls.
    fn on_http(&mut self, function: &'static str, routes: Router) {
        let all = self.http.remove(function).unwrap_or_default().merge(routes);
        self.http.insert(function, all);
    }

    fn on_batch<W: Future<Output = Result<Vec<String>, String>> + Send + 'static>(
        &mut self,
        function: &'static str,
        handle: impl Fn(SqsEvent) -> W + Send + Sync + 'static,
    ) {
        self.batches.insert(function, Arc::new(move |event| handle(event).boxed()));
    }

    fn on_tick<W: Future<Output = Result<Value, String>> + Send + 'static>(
        &mut self,
        function: &'static str,
        handle: impl Fn() -> W + Send + Sync + 'static,
    ) {
        self.ticks.insert(function, Arc::new(move || handle().boxed()));
    }

    fn on_stream<W: Future<Output = Vec<String>> + Send + 'static>(
        &mut self,
        function: &'static str,
        handle: impl Fn(Event) -> W + Send + Sync + 'static,
    ) {
        self.streams.insert(function, Arc::new(move |event| handle(event).boxed()));
    }
}

pub(crate) fn unserved(function: &str, kind: &'static str) -> WiringError {
    WiringError::Unserved { function: function.to_owned(), kind }
}

/// The names of the messages that have failed.
fn failed(response: SqsBatchResponse) -> Vec<String> {
    response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
}

/// The same of an answer that is not typed.
fn failed_in(answer: &Value) -> Vec<String> {
    let failures = answer.get("batchItemFailures").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let id = |failure: &Value| failure.get("itemIdentifier").and_then(Value::as_str).map(str::to_owned);
    failures.iter().filter_map(id).collect()
}

/// What a schedule sends.
fn scheduled() -> Value {
    json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} })
}
