//! What the programs find at `AWS_ENDPOINT_URL`: `DynamoDB` for real (embedded), and just enough of SQS, KMS and
//! EventBridge to take what is sent. The same over HTTP and over TLS.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use evenstock_app::{Clock, KeyAdminStore, NewKey, Scope};
use evenstock_domain::OrganizationId;
use evenstock_local::dynamo::LocalDynamo;
use evenstock_local::template::Template;
use evenstock_runtime::SystemClock;
use evenstock_store::{AwsSettings, DynamoStore, dynamodb_client};
use serde_json::{Value, json};

use super::runtime_api::serve;
use super::traffic::Traffic;
use crate::Failure;

/// The key that the events show, and the organization that it belongs to.
const KEY: &str = "demo";

/// A data key wrapped by nothing: 32 bytes, base64.
const DATA_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Everything outside of a function, with an empty table but for one API key.
pub(crate) struct Cloud {
    /// `host:port` of the services over plain HTTP.
    pub(crate) address: String,
    /// The table's name.
    pub(crate) table: String,
    /// What came.
    pub(crate) traffic: Arc<Traffic>,
    _dynamo: LocalDynamo,
}

struct Services {
    client: reqwest::Client,
    dynamodb: String,
    traffic: Arc<Traffic>,
}

impl Cloud {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let template = Template::built_in()?;
        let dynamo = LocalDynamo::start(None, &template.table).await?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let traffic = Arc::<Traffic>::default();
        let (dynamodb, met) = (dynamo.endpoint().to_owned(), Arc::clone(&traffic));
        let services = Arc::new(Services { client, dynamodb, traffic: Arc::clone(&traffic) });
        let router = Router::new().fallback(answer).with_state(services);
        let address = serve(router, move || met.connected()).await?;
        put_key(dynamo.endpoint(), &template.table.name).await?;
        Ok(Self { address, table: template.table.name, traffic, _dynamo: dynamo })
    }
}

async fn put_key(endpoint: &str, table: &str) -> Result<(), Failure> {
    let client = dynamodb_client(&AwsSettings {
        region: "local".to_owned(),
        endpoint_url: Some(endpoint.to_owned()),
        access_key_id: "bench".to_owned(),
        secret_access_key: "bench".to_owned(),
        session_token: None,
    });
    let new = NewKey {
        organization: OrganizationId::parse(KEY)?,
        name: KEY.to_owned(),
        scopes: vec![Scope::Read, Scope::Write, Scope::Admin],
        operator: true,
        expires_at: None,
    };
    DynamoStore::new(client, table, 400).insert_key(&new.into_record(KEY, SystemClock.now())).await?;
    Ok(())
}

async fn answer(State(services): State<Arc<Services>>, headers: HeaderMap, body: Bytes) -> Response {
    services.traffic.called(&headers);
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let asked = || serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let reply = match target {
        "AmazonSQS.SendMessageBatch" => {
            let entries = asked().get("Entries").and_then(Value::as_array).cloned().unwrap_or_default();
            let taken = entries.iter().filter_map(|entry| entry.get("Id"));
            let taken = taken.map(|id| json!({ "Id": id, "MessageId": "m", "MD5OfMessageBody": "-" }));
            json!({ "Successful": taken.collect::<Vec<_>>(), "Failed": [] })
        }
        "AmazonSQS.GetQueueAttributes" => {
            json!({ "Attributes": { "ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0" } })
        }
        "TrentService.GenerateDataKey" => json!({ "KeyId": KEY, "Plaintext": DATA_KEY, "CiphertextBlob": DATA_KEY }),
        "TrentService.Decrypt" => json!({ "KeyId": KEY, "Plaintext": DATA_KEY }),
        target if target.starts_with("DynamoDB_") => return services.forward(&headers, body).await,
        target => return (StatusCode::NOT_IMPLEMENTED, format!("nothing here does {target}")).into_response(),
    };
    ([("content-type", "application/x-amz-json-1.0")], reply.to_string()).into_response()
}

impl Services {
    async fn forward(&self, headers: &HeaderMap, body: Bytes) -> Response {
        let mut request = self.client.post(&self.dynamodb).body(body);
        for name in ["x-amz-target", "x-amz-date", "content-type", "authorization"] {
            if let Some(value) = headers.get(name) {
                request = request.header(name, value);
            }
        }
        let reply = async {
            let reply = request.send().await?;
            Ok::<_, reqwest::Error>((reply.status(), reply.bytes().await?))
        };
        match reply.await {
            Ok((status, body)) => (status, [("content-type", "application/x-amz-json-1.0")], body).into_response(),
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        }
    }
}
