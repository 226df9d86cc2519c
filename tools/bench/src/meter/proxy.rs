//! The endpoint that the AWS SDK is given: DynamoDB's calls go on to the emulator, SQS's are answered here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dynoxide::Database;
use evenstock_local::dynamo::LocalDynamo;
use evenstock_local::template::TableSettings;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::queues::Queues;
use super::transactions::InWork;
use super::units::{Item, Units, read, refused, stated, written};
use super::{Bill, Call, Service};
use crate::Failure;

/// What says which operation is called.
const TARGET: &str = "x-amz-target";

/// DynamoDB's operations in [`TARGET`].
const DYNAMODB: &str = "DynamoDB_20120810";

const SIGNATURE: &str =
    "AWS4-HMAC-SHA256 Credential=local/20260101/local/dynamodb/aws4_request, SignedHeaders=host, Signature=0";

/// Asked every five seconds by each instance of the webhook function, whatever it does: no operation's.
const BACKGROUND: &str = "GetQueueAttributes";

/// A counting endpoint. Dropped, it ends.
pub(crate) struct Meter {
    /// Where SDK clients find it.
    pub(crate) endpoint: String,
    shared: Arc<Shared>,
    server: JoinHandle<std::io::Result<()>>,
}

struct Shared {
    upstream: String,
    /// The emulator's own, to look at items beside its calls.
    database: Database,
    client: Client,
    table: TableSettings,
    /// How long each call is held back, so that calls made at once overlap whatever this machine does.
    hold: Duration,
    calls: Mutex<Vec<Call>>,
    /// The partition that is read in the background.
    background: Mutex<Option<String>>,
    queues: Queues,
    transactions: InWork,
    /// One write at a time: an item is looked at before and after it.
    writing: tokio::sync::Mutex<()>,
}

/// An answer on its way back.
struct Answer {
    status: StatusCode,
    body: Value,
    units: Units,
    emulator: Option<Units>,
    refused: bool,
}

impl Answer {
    const fn free(status: StatusCode, body: Value, refused: bool) -> Self {
        Self { status, body, units: Units { writes: 0, read_halves: 0 }, emulator: None, refused }
    }
}

/// An item that a write is about.
struct Touch {
    key: Item,
    /// What a `Put` would make of it.
    put: Option<Item>,
}

impl Meter {
    /// Starts one before a DynamoDB.
    pub(crate) async fn start(dynamo: &LocalDynamo, table: &TableSettings, hold: Duration) -> Result<Self, Failure> {
        let shared = Arc::new(Shared {
            upstream: dynamo.endpoint().to_owned(),
            database: dynamo.database().clone(),
            client: Client::builder().no_proxy().build()?,
            table: table.clone(),
            hold,
            calls: Mutex::default(),
            background: Mutex::default(),
            queues: Queues::default(),
            transactions: InWork::default(),
            writing: tokio::sync::Mutex::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { endpoint, shared, server })
    }

    /// Leaves out what is asked of one partition from now on: what each instance does by the clock, and no operation.
    pub(crate) fn leave_out(&self, pk: String) {
        *self.shared.background.lock().unwrap_or_else(PoisonError::into_inner) = Some(pk);
    }

    /// The calls since the last look, as one operation's.
    pub(crate) fn take(&self) -> Bill {
        Bill::of(&std::mem::take(&mut *self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A caller that does not wait for the end changes nothing: what was asked is done, and counted.
async fn answer(State(meter): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let answered = tokio::spawn(settle(meter, headers, body)).await;
    answered.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn settle(meter: Arc<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let begun = Instant::now();
    sleep(meter.hold).await;
    let target = headers.get(TARGET).and_then(|target| target.to_str().ok()).unwrap_or_default();
    let (service, operation) = target.split_once('.').unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let background = operation == BACKGROUND || meter.is_background(&request) || is_repeated(&headers);
    let (service, answered) = if service == DYNAMODB {
        (Service::DynamoDb, meter.dynamodb(operation, request).await)
    } else {
        let answered = meter.queues.answer(operation, &request).ok_or_else(|| format!("{target} is not known here"));
        (Service::Sqs, answered.map(|body| Answer::free(StatusCode::OK, body, false)).map_err(Into::into))
    };
    let answered = answered.unwrap_or_else(|error| {
        let body = json!({ "__type": "InternalFailure", "message": error.to_string() });
        Answer::free(StatusCode::INTERNAL_SERVER_ERROR, body, false)
    });
    let text = answered.body.to_string();
    let bytes = u64::try_from(body.len() + text.len()).unwrap_or(u64::MAX);
    if !background {
        meter.calls.lock().unwrap_or_else(PoisonError::into_inner).push(Call {
            service,
            operation: operation.to_owned(),
            begun,
            ended: Instant::now(),
            units: answered.units,
            emulator: answered.emulator,
            bytes,
            refused: answered.refused,
        });
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"))];
    (answered.status, kind, Body::from(text)).into_response()
}

impl Shared {
    fn is_background(&self, request: &Value) -> bool {
        let left_out = self.background.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = request.pointer("/Key/pk/S").and_then(Value::as_str);
        left_out.as_deref().is_some_and(|left_out| asked == Some(left_out))
    }

    async fn dynamodb(&self, operation: &str, request: Value) -> Result<Answer, Failure> {
        match operation {
            "PutItem" | "UpdateItem" | "DeleteItem" => {
                let touch = self.touch(&request);
                if let Some(body) = self.transactions.conflict(&name_of(&touch.key)) {
                    return Ok(Answer::free(StatusCode::BAD_REQUEST, body, true));
                }
                self.write(operation, request, vec![touch]).await
            }
            "TransactWriteItems" => {
                let items = request.get("TransactItems").and_then(Value::as_array).cloned().unwrap_or_default();
                let actions = items.iter().filter_map(|item| item.as_object()?.values().next());
                let touches: Vec<_> = actions.map(|action| self.touch(action)).collect();
                // Before the emulator is asked, as AWS prepares before it commits.
                let held = self.transactions.hold(touches.iter().map(|touch| name_of(&touch.key)).collect());
                match held {
                    Err(body) => Ok(Answer::free(StatusCode::BAD_REQUEST, body, true)),
                    Ok(held) => {
                        sleep(self.hold).await;
                        let answer = self.write(operation, request, touches).await;
                        drop(held);
                        answer
                    }
                }
            }
            _ => {
                let (status, mut body) = self.forward(operation, request.clone()).await?;
                let emulator = stated(&body, false);
                let units = if status.is_success() { read(operation, &request, &body).or(emulator) } else { None };
                forget_capacity(&mut body);
                Ok(Answer { status, body, units: units.unwrap_or_default(), emulator, refused: false })
            }
        }
    }

    /// Writes, with a look at the items before and after.
    async fn write(&self, operation: &str, request: Value, touches: Vec<Touch>) -> Result<Answer, Failure> {
        let times = if operation == "TransactWriteItems" { 2 } else { 1 };
        let alone = self.writing.lock().await;
        let before = self.look(&touches)?;
        let (status, mut body) = self.forward(operation, request).await?;
        let done = status.is_success();
        let after = if done { self.look(&touches)? } else { Vec::new() };
        drop(alone);
        let kind = body.get("__type").and_then(Value::as_str).unwrap_or_default();
        let refusal =
            kind.ends_with("ConditionalCheckFailedException") || kind.ends_with("TransactionCanceledException");
        let writes = if done {
            let pairs = before.iter().zip(&after);
            pairs.map(|(before, after)| written(&self.table, before.as_ref(), after.as_ref())).sum()
        } else if refusal {
            let pairs = before.iter().zip(&touches);
            pairs.map(|(before, touch)| refused(before.as_ref(), touch.put.as_ref())).sum()
        } else {
            0
        };
        let emulator = stated(&body, true).filter(|_| done);
        forget_capacity(&mut body);
        Ok(Answer { status, body, units: Units::writes(writes * times), emulator, refused: refusal })
    }

    async fn forward(&self, operation: &str, mut request: Value) -> Result<(StatusCode, Value), Failure> {
        if let Some(fields) = request.as_object_mut() {
            fields.insert("ReturnConsumedCapacity".to_owned(), "TOTAL".into());
        }
        let ask = self.client.post(&self.upstream).header(TARGET, format!("{DYNAMODB}.{operation}"));
        let ask = ask.header(header::CONTENT_TYPE, "application/x-amz-json-1.0");
        // The emulator wants a signature to be there, and does not look at it.
        let ask = ask.header(header::AUTHORIZATION, SIGNATURE).header("x-amz-date", "20260101T000000Z");
        let answer = ask.body(request.to_string()).send().await?;
        let status = answer.status();
        Ok((status, answer.json().await?))
    }

    /// The items as they stand.
    fn look(&self, touches: &[Touch]) -> Result<Vec<Option<Item>>, Failure> {
        let look = |touch: &Touch| {
            let get = json!({ "TableName": self.table.name, "Key": touch.key, "ConsistentRead": true });
            let found = self.database.get_item(serde_json::from_value(get)?)?.item;
            let item = found.map(serde_json::to_value).transpose()?;
            Ok(item.and_then(|item| item.as_object().cloned()))
        };
        touches.iter().map(look).collect()
    }

    /// What a request of one item is about.
    fn touch(&self, request: &Value) -> Touch {
        let put = request.get("Item").and_then(Value::as_object).cloned();
        let keys = std::iter::once(&self.table.keys.hash).chain(&self.table.keys.range);
        let key = match &put {
            Some(item) => keys.filter_map(|key| Some((key.name.clone(), item.get(&key.name)?.clone()))).collect(),
            None => request.get("Key").and_then(Value::as_object).cloned().unwrap_or_default(),
        };
        Touch { key, put }
    }
}

/// Whether the SDK sends a call again whose answer took too long: the machine's doing, and no operation's.
fn is_repeated(headers: &HeaderMap) -> bool {
    let attempt = headers.get("amz-sdk-request").and_then(|attempt| attempt.to_str().ok());
    attempt.is_some_and(|attempt| !attempt.contains("attempt=1"))
}

/// A key as one text.
fn name_of(key: &Item) -> String {
    key.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// The functions did not ask for it.
fn forget_capacity(body: &mut Value) {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("ConsumedCapacity");
    }
}
