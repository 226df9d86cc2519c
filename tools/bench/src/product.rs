//! The product in this process, as the local runner wires it, with a meter between its functions and AWS. Nothing happens
//! by itself here: each invocation is made by whoever measures it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use evenstock_app::{CounterStore, Counts, QueueName, StoreError};
use evenstock_local::dynamo::LocalDynamo;
use evenstock_local::functions::Functions;
use evenstock_local::queue::logical_id;
use evenstock_local::stream::{Delivery, StreamReader};
use evenstock_local::template::{Template, Trigger};
use evenstock_runtime::http::shell;
use evenstock_runtime::{Environment, keep_reasons, metrics, take_reason};
use evenstock_store::{AwsSettings, QueueUrls, SqsQueues, sqs_client};
use futures::future::FutureExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use crate::Failure;
use crate::meter::Meter;
use crate::outside::Outside;

/// How long a call takes at least: calls that are made at once overlap then.
const HOLD: Duration = Duration::from_millis(10);

/// What one `ReceiveMessage` gives at most, and one `DeleteMessageBatch` takes.
const MESSAGES_MAX: usize = 10;

/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The key that the local runner accepts.
const KEY: &str = "demo";

/// The secret of marketplace A.
pub(crate) const SECRET: &str = "secret";

const QUEUES: [QueueName; 8] = [
    QueueName::StockChanges,
    QueueName::PollJobs,
    QueueName::StoreSync,
    QueueName::Callbacks,
    QueueName::StreamDlq,
    QueueName::WarehouseEvents,
    QueueName::WarehouseEventsDlq,
    QueueName::WarehouseSync,
];

/// The product.
pub(crate) struct Product {
    pub(crate) dynamo: LocalDynamo,
    pub(crate) meter: Meter,
    pub(crate) outside: Outside,
    pub(crate) template: Template,
    functions: Functions,
    http: BTreeMap<String, Router>,
    sqs: aws_sdk_sqs::Client,
}

/// An instance's counters are one write a minute, whatever it does meanwhile: no operation's.
#[derive(Debug)]
struct NoCounters;

impl CounterStore for NoCounters {
    async fn add_counts(&self, _: &str, _: &str, _: &Counts) -> Result<(), StoreError> {
        Ok(())
    }

    async fn all_counts(&self) -> Result<BTreeMap<String, Counts>, StoreError> {
        Ok(BTreeMap::new())
    }

    async fn reset_counts(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Product {
    /// Starts it on an empty table, behind calls that overlap when they are made at once.
    pub(crate) async fn start() -> Result<Self, Failure> {
        Self::start_with(HOLD).await
    }

    /// Starts it on an empty table; each call of AWS takes `hold` at least.
    pub(crate) async fn start_with(hold: Duration) -> Result<Self, Failure> {
        keep_reasons();
        metrics::send_to(Arc::new(NoCounters), "bench", false);
        let template = Template::built_in()?;
        let dynamo = LocalDynamo::start(None, &template.table).await?;
        let meter = Meter::start(&dynamo, &template.table, hold).await?;
        let outside = Outside::bind().await?;
        let sqs = sqs_client(&aws(&meter));
        let url = |queue| {
            let urls = QueueUrls { queue: url(&meter, queue), dead_letters: None };
            (queue, urls)
        };
        let queues = SqsQueues::new(sqs.clone(), QUEUES.into_iter().map(url).collect());
        let environment = environment(&outside);
        let functions = Functions::wire(&environment, &meter.endpoint, &template, queues).await?;
        outside.serve(functions.http("MockMarketplaceFunction")?);
        let serves = |trigger: &Trigger| matches!(trigger, Trigger::Http { .. });
        let names = template.functions.iter().filter(|function| function.triggers.iter().any(serves));
        let routed = |name: &str| Ok::<_, Failure>((name.to_owned(), shell(functions.http(name)?)));
        let http = names.map(|function| routed(&function.logical_id)).collect::<Result<_, _>>()?;
        let product = Self { dynamo, meter, outside, template, functions, http, sqs };
        // Each instance reads its callers' keys again every minute, and notes their use every hour.
        let hash = hex::encode(Sha256::digest(KEY));
        product.meter.leave_out(format!("K#{}", hash.get(..16).unwrap_or(&hash)));
        Ok(product)
    }

    /// Asks a function; anything but success is an error. Without an `authorization` it is asked as `demo`.
    pub(crate) async fn ask(
        &self,
        function: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Result<Value, Failure> {
        let router = self.http.get(function).ok_or_else(|| format!("{function} serves nothing"))?;
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("x-api-key", KEY);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.map_or_else(Body::empty, |body| Body::from(body.to_owned())))?;
        let response = router.clone().oneshot(request).await?;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await?;
        if !status.is_success() {
            return Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&bytes)).into());
        }
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Posts JSON.
    pub(crate) async fn post(&self, function: &str, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(function, "POST", path, &[], Some(&body.to_string())).await
    }

    /// Reads.
    pub(crate) async fn get(&self, function: &str, path: &str) -> Result<Value, Failure> {
        self.ask(function, "GET", path, &[], None).await
    }

    /// Puts a message on a queue.
    pub(crate) async fn send(&self, queue: QueueName, body: &str) -> Result<(), Failure> {
        self.sqs.send_message().queue_url(url(&self.meter, queue)).message_body(body).send().await?;
        Ok(())
    }

    /// What the event source does with so many messages that wait: receive, invoke, delete. The receives go side by side,
    /// as its pollers do.
    pub(crate) async fn deliver(&self, queue: QueueName, function: &str, count: usize) -> Result<(), Failure> {
        let url = url(&self.meter, queue);
        let sizes = (0..count).step_by(MESSAGES_MAX).map(|taken| MESSAGES_MAX.min(count - taken));
        let receives = sizes.map(|size| {
            let size = i32::try_from(size).unwrap_or(1);
            self.sqs.receive_message().queue_url(&url).max_number_of_messages(size).send()
        });
        let received = futures::future::try_join_all(receives).await?;
        let messages: Vec<_> = received.into_iter().flat_map(|answer| answer.messages.unwrap_or_default()).collect();
        if messages.len() != count {
            return Err(format!("{} messages wait for {function}, not {count}", messages.len()).into());
        }
        let record = |message: &aws_sdk_sqs::types::Message| {
            json!({
                "messageId": message.message_id,
                "receiptHandle": message.receipt_handle,
                "body": message.body,
                "attributes": { "ApproximateReceiveCount": "1" },
                "eventSource": "aws:sqs",
            })
        };
        let event = json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() });
        let event: SqsEvent = serde_json::from_value(event)?;
        let failed = self.functions.batches(function)?(event).await?;
        if !failed.is_empty() {
            let reasons: Vec<_> = failed.iter().filter_map(|message| take_reason(message)).collect();
            return Err(
                format!("{function} failed {} of {count} messages: {}", failed.len(), reasons.join("; ")).into()
            );
        }
        for batch in messages.chunks(MESSAGES_MAX) {
            let entries = batch.iter().enumerate().map(|(place, message)| {
                let entry = aws_sdk_sqs::types::DeleteMessageBatchRequestEntry::builder().id(place.to_string());
                entry.set_receipt_handle(message.receipt_handle.clone()).build()
            });
            let entries = entries.collect::<Result<_, _>>()?;
            self.sqs.delete_message_batch().queue_url(&url).set_entries(Some(entries)).send().await?;
        }
        Ok(())
    }

    /// Gives the stream's records to its function, so many at a time, until there are no more.
    pub(crate) async fn follow(&self, batch_size: usize) -> Result<(), Failure> {
        let name = "ChangePublisherFunction";
        let triggers = self.template.functions.iter().filter(|function| function.logical_id == name);
        let filters = triggers.flat_map(|function| &function.triggers).find_map(|trigger| match trigger {
            Trigger::Stream { filters, .. } => Some(filters.clone()),
            _ => None,
        });
        let filters = filters.ok_or("nothing follows the stream")?;
        let mut reader = StreamReader::open(&self.dynamo, &self.template.table.name, batch_size, filters)?;
        let handler = self.functions.stream(name)?;
        let handler = move |event| handler(event).map(Ok::<_, Infallible>);
        loop {
            match reader.deliver(&handler).await? {
                Delivery::Done => {}
                Delivery::Idle => return Ok(()),
                Delivery::Failed => return Err("a batch of the stream failed".into()),
            }
        }
    }

    /// A tick of a function's schedule.
    pub(crate) async fn tick(&self, function: &str) -> Result<Value, Failure> {
        Ok(self.functions.ticks(function)?().await?)
    }
}

/// AWS behind a meter.
pub(crate) fn aws(meter: &Meter) -> AwsSettings {
    AwsSettings {
        region: "local".to_owned(),
        endpoint_url: Some(meter.endpoint.clone()),
        access_key_id: "local".to_owned(),
        secret_access_key: "local".to_owned(),
        session_token: None,
    }
}

fn url(meter: &Meter, queue: QueueName) -> String {
    format!("{}/000000000000/{}", meter.endpoint, logical_id(queue))
}

fn environment(outside: &Outside) -> Environment {
    [
        ("MARKETPLACE_A_SECRET", SECRET),
        ("MARKETPLACE_B_API", &outside.base),
        ("MARKETPLACE_B_API_KEY", "test-key"),
        ("EVENT_ID_KEY", "benchbenchbenchbenchbenchbench!!"),
        ("SEAL_KEYS", &format!("1:{}\n", "0b".repeat(32))),
        ("MARKETPLACE_BASE_URL", &outside.base),
        ("ALLOW_PRIVATE_CALLBACKS", "true"),
        ("RATE_LIMIT_RPS", "1000000"),
        ("RATE_LIMIT_BURST", "1000000"),
        ("POLL_INTERVAL_SECONDS", "1"),
    ]
    .into_iter()
    .collect()
}
