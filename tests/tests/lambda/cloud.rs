//! What the programs find at `AWS_ENDPOINT_URL`: DynamoDB for real (embedded), and just enough of SQS and KMS to take
//! what is sent and to wrap keys. One address for all, as Lambda's own variable has it. What a function's role does not
//! allow is denied.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use evenstock_app::{Clock, KeyAdminStore, NewKey, Scope};
use evenstock_domain::OrganizationId;
use evenstock_local::dynamo::LocalDynamo;
use evenstock_local::rights::{Record, Rights, calls_of};
use evenstock_local::template::Template;
use evenstock_runtime::{Environment, SystemClock};
use evenstock_store::{AwsSettings, DynamoStore, dynamodb_client};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The key that the events show.
const KEY: &str = "demo";

/// Everything outside of a function.
pub(crate) struct Cloud {
    pub(crate) endpoint: String,
    pub(crate) table: String,
    services: Arc<Services>,
    _dynamo: LocalDynamo,
}

struct Services {
    client: reqwest::Client,
    dynamodb: String,
    /// Messages sent, by queue.
    sent: Mutex<BTreeMap<String, u64>>,
    /// What each function may do.
    rights: BTreeMap<String, Rights>,
}

/// What the roles of the template allow.
fn rights(template: &Template) -> BTreeMap<String, Rights> {
    let record =
        Environment::of_process().optional("RECORD_CALLS").map(|folder| Record::open(Path::new(folder)).unwrap());
    let record = record.map(Arc::new);
    let rights = |(function, allowed): (&String, &Vec<_>)| {
        (function.clone(), Rights::new(function, allowed.clone(), record.clone()))
    };
    template.rights.iter().map(rights).collect()
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        let template = Template::built_in().unwrap();
        let dynamo = LocalDynamo::start(None, &template.table).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let services = Arc::new(Services {
            client,
            dynamodb: dynamo.endpoint().to_owned(),
            sent: Mutex::default(),
            rights: rights(&template),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(serve).with_state(Arc::clone(&services));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let cloud = Self { endpoint, table: template.table.name, services, _dynamo: dynamo };
        cloud.put_key().await;
        cloud
    }

    async fn put_key(&self) {
        let client = dynamodb_client(&AwsSettings {
            region: "local".to_owned(),
            endpoint_url: Some(self.endpoint.clone()),
            access_key_id: "test".to_owned(),
            secret_access_key: "test".to_owned(),
            session_token: None,
        });
        let new = NewKey {
            organization: OrganizationId::parse(KEY).unwrap(),
            name: KEY.to_owned(),
            scopes: vec![Scope::Read, Scope::Write, Scope::Admin],
            operator: true,
            expires_at: None,
        };
        let store = DynamoStore::new(client, &self.table, 400);
        store.insert_key(&new.into_record(KEY, SystemClock.now())).await.unwrap();
    }

    pub(crate) fn forget_what_was_sent(&self) {
        self.services.sent.lock().unwrap().clear();
    }

    /// Messages sent, by the logical ids of their queues.
    pub(crate) fn sent(&self) -> BTreeMap<String, u64> {
        self.services.sent.lock().unwrap().clone()
    }
}

async fn serve(State(services): State<Arc<Services>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default().to_owned();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Err(denied) = services.check(&headers, &target, &asked) {
        let error = json!({ "__type": "com.amazon.coral.service#AccessDeniedException", "message": denied });
        return (StatusCode::BAD_REQUEST, answer(&error)).into_response();
    }
    if target.starts_with("DynamoDB_") {
        return services.forward(headers, body).await;
    }
    match target.as_str() {
        "AmazonSQS.SendMessageBatch" => answer(&services.take(&asked)),
        "AmazonSQS.GetQueueAttributes" => {
            let counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
            let counts: serde_json::Map<_, _> = counts.map(|name| (name.to_owned(), json!("0"))).into_iter().collect();
            answer(&json!({ "Attributes": counts }))
        }
        // A key that is wrapped by nothing: 32 bytes, base64.
        "TrentService.GenerateDataKey" => {
            let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
            answer(&json!({ "KeyId": asked["KeyId"], "Plaintext": key, "CiphertextBlob": key }))
        }
        "TrentService.Decrypt" => answer(&json!({ "KeyId": asked["KeyId"], "Plaintext": asked["CiphertextBlob"] })),
        "AWSEvents.PutEvents" => {
            let taken = asked["Entries"].as_array().into_iter().flatten().map(|_| json!({ "EventId": "e" }));
            answer(&json!({ "FailedEntryCount": 0, "Entries": taken.collect::<Vec<_>>() }))
        }
        _ => (StatusCode::NOT_IMPLEMENTED, format!("nothing here does {target}")).into_response(),
    }
}

fn answer(body: &Value) -> Response {
    ([("content-type", "application/x-amz-json-1.0")], body.to_string()).into_response()
}

impl Services {
    /// Whether the function whose name is the access key may do what it asks for; the suite itself has another name.
    fn check(&self, headers: &HeaderMap, target: &str, asked: &Value) -> Result<(), String> {
        let signed = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let name = signed.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default();
        let Some(rights) = self.rights.get(name) else {
            return if name == "test" { Ok(()) } else { Err(format!("{name} is no function")) };
        };
        let calls = calls_of(target, asked).ok_or_else(|| format!("{target} is not known here"))?;
        calls.iter().try_for_each(|call| rights.check(call)).map_err(|denied| denied.to_string())
    }

    async fn forward(&self, headers: HeaderMap, body: Bytes) -> Response {
        let mut request = self.client.post(&self.dynamodb).body(body);
        for name in ["x-amz-target", "x-amz-date", "content-type", "authorization"] {
            if let Some(value) = headers.get(name) {
                request = request.header(name, value);
            }
        }
        let reply = request.send().await.unwrap();
        let status = reply.status();
        (status, [("content-type", "application/x-amz-json-1.0")], reply.bytes().await.unwrap()).into_response()
    }

    /// Counts a batch of messages as sent to the queue that its address ends with.
    fn take(&self, batch: &Value) -> Value {
        let queue = batch["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
        let entries = batch["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        *self.sent.lock().unwrap().entry(queue.to_owned()).or_default() += entries.len() as u64;
        let taken = entries.iter().map(|entry| json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "-" }));
        json!({ "Successful": taken.collect::<Vec<_>>(), "Failed": [] })
    }
}
