//! A deployed stack as a target, by the AWS APIs at one endpoint.
//!
//! Functions are called by Lambda's own API with the events that the gateway would send: not every emulator has the
//! gateway's routes. Our calls are not signed, since emulators do not ask for it; AWS itself is no target.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evenstock_app::{Clock, KeyAdminStore, NewKey, Scope};
use evenstock_domain::OrganizationId;
use evenstock_local::template::{Template, Trigger};
use evenstock_runtime::{Environment, SystemClock};
use evenstock_store::{AwsSettings, DynamoStore, dynamodb_client};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::target::{Answer, Part};

const REGION: &str = "us-east-1";

/// A stack on an endpoint.
pub(crate) struct Stack {
    endpoint: String,
    /// Physical ids by logical ones.
    resources: BTreeMap<String, String>,
    template: Template,
    client: Client,
}

impl Stack {
    /// The stack whose endpoint is in `E2E_ENDPOINT` and whose resources are in the file `E2E_RESOURCES`; `None` when
    /// the environment names none. Gives it the key `demo`.
    pub(crate) async fn of_environment() -> Option<Self> {
        let variables = Environment::of_process();
        let endpoint = variables.optional("E2E_ENDPOINT")?.to_owned();
        let file = variables.required("E2E_RESOURCES").expect("the stack's resources");
        let resources = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(90)).build().unwrap();
        let stack = Self { endpoint, resources, template: Template::built_in().unwrap(), client };
        stack.put_key().await;
        // Five tries of a message would take a quarter of an hour.
        let short = json!({ "QueueUrl": stack.id("StockChangesQueue"), "Attributes": { "VisibilityTimeout": "2" } });
        stack.sqs("SetQueueAttributes", &short).await.unwrap();
        Some(stack)
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    fn id(&self, resource: &str) -> &str {
        self.resources.get(resource).unwrap_or_else(|| panic!("the stack has no {resource}"))
    }

    async fn put_key(&self) {
        let client = dynamodb_client(&AwsSettings {
            region: REGION.to_owned(),
            endpoint_url: Some(self.endpoint.clone()),
            access_key_id: "test".to_owned(),
            secret_access_key: "test".to_owned(),
            session_token: None,
        });
        let new = NewKey {
            organization: OrganizationId::parse("demo").unwrap(),
            name: "demo".to_owned(),
            scopes: vec![Scope::Read, Scope::Write, Scope::Admin],
            operator: true,
            expires_at: None,
        };
        let store = DynamoStore::new(client, self.id(&self.template.table.name), 400);
        store.insert_key(&new.into_record("demo", SystemClock.now())).await.unwrap();
    }

    /// The scope tells emulators which service is meant.
    fn authorization(service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
        )
    }

    async fn sqs(&self, action: &str, body: &Value) -> Result<Value, String> {
        let request = self.client.post(&self.endpoint).header("authorization", Self::authorization("sqs"));
        let request = request.header("x-amz-target", format!("AmazonSQS.{action}"));
        let request = request.header("content-type", "application/x-amz-json-1.0").body(body.to_string());
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        if status.is_success() { Ok(serde_json::from_str(&text).unwrap_or_default()) } else { Err(text) }
    }

    pub(crate) async fn lack(&self, part: Part) -> Option<String> {
        match part {
            Part::QueueAccess => None,
            Part::Gateway => self
                .routes()
                .await
                .is_empty()
                .then(|| "the endpoint deploys AWS::Serverless::HttpApi without routes".to_owned()),
            Part::Redrive => {
                // A queue that is nobody's dead-letter queue is refused, by whoever knows the action at all.
                let asked =
                    self.sqs("StartMessageMoveTask", &json!({ "SourceArn": "arn:aws:sqs:us-east-1:0:none" })).await;
                let unknown = ["InvalidAction", "UnknownOperation", "NotImplemented", "not implemented", "Unknown"];
                let error = asked.err().filter(|error| unknown.iter().any(|word| error.contains(word)))?;
                Some(format!(
                    "the endpoint knows no StartMessageMoveTask ({})",
                    error.chars().take(80).collect::<String>()
                ))
            }
        }
    }

    /// The gateway's routes, such as `GET /health`.
    pub(crate) async fn routes(&self) -> Vec<String> {
        let url = format!("{}/v2/apis/{}/routes", self.endpoint, self.id("HttpApi"));
        let answer =
            self.client.get(url).header("authorization", Self::authorization("apigateway")).send().await.unwrap();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default();
        let routes = answer["items"].as_array().or_else(|| answer["Items"].as_array());
        let key = |route: &Value| route["routeKey"].as_str().or_else(|| route["RouteKey"].as_str()).map(str::to_owned);
        routes.into_iter().flatten().filter_map(key).collect()
    }

    /// Calls the function whose route fits, as the gateway would.
    pub(crate) async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let (function, route) = self.route(method.as_str(), path);
        let headers: serde_json::Map<_, _> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let route_key = format!("{method} {route}");
        let event = json!({
            "version": "2.0", "routeKey": route_key, "rawPath": path, "rawQueryString": query, "headers": headers,
            "requestContext": {
                "accountId": "000000000000", "apiId": "e2e", "domainName": "localhost", "domainPrefix": "localhost",
                "http": { "method": method.as_str(), "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "e2e" },
                "requestId": "e2e", "routeKey": route_key, "stage": "$default", "time": "20/Nov/2026:08:00:01 +0000",
                "timeEpoch": 1_795_161_601_000_i64,
            },
            "body": body.map(|body| STANDARD.encode(body)), "isBase64Encoded": body.is_some(),
        });
        let url = format!("{}/2015-03-31/functions/{}/invocations", self.endpoint, self.id(&function));
        let request = self.client.post(url).header("authorization", Self::authorization("lambda")).json(&event);
        let text = request.send().await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{function}: {text}"));
        let status = answer["statusCode"].as_u64().unwrap_or_else(|| panic!("{function} failed: {answer}"));
        let body = answer["body"].as_str().and_then(|body| serde_json::from_str(body).ok());
        (u16::try_from(status).unwrap(), body.unwrap_or_default())
    }

    /// The function and the route that serve a path: the route that says most of it.
    fn route(&self, method: &str, path: &str) -> (String, String) {
        let mut fitting = Vec::new();
        for function in &self.template.functions {
            for trigger in &function.triggers {
                match trigger {
                    Trigger::Http { method: own, path: route } if own == method && covers(route, path) => {
                        let literal = route.split('/').filter(|part| !part.starts_with('{')).count();
                        fitting.push((literal, function.logical_id.clone(), route.clone()));
                    }
                    _ => {}
                }
            }
        }
        let (_, function, route) = fitting.into_iter().max().unwrap_or_else(|| panic!("no route for {method} {path}"));
        (function, route)
    }

    /// Puts messages on a queue.
    pub(crate) async fn send(&self, queue: &str, messages: &[&str]) {
        let entries = messages.iter().enumerate();
        let entries: Vec<_> = entries
            .map(|(n, body)| json!({ "Id": n.to_string(), "MessageBody": body, "MessageGroupId": "demo" }))
            .collect();
        let sent =
            self.sqs("SendMessageBatch", &json!({ "QueueUrl": self.id(queue), "Entries": entries })).await.unwrap();
        assert!(sent["Failed"].as_array().is_none_or(Vec::is_empty), "{sent}");
    }

    /// Waits until a message lies on a queue that nobody else reads; the receipt of having got it.
    pub(crate) async fn find(&self, queue: &str, message: &str) -> Value {
        for _ in 0..180 {
            let wanted = json!({ "QueueUrl": self.id(queue), "MaxNumberOfMessages": 10, "VisibilityTimeout": 1 });
            let got = self.sqs("ReceiveMessage", &wanted).await.unwrap();
            let mut messages = got["Messages"].as_array().into_iter().flatten();
            if let Some(found) = messages.find(|found| found["Body"] == message) {
                return found["ReceiptHandle"].clone();
            }
            sleep(Duration::from_secs(1)).await;
        }
        panic!("{queue} never held {message}");
    }

    /// Moves a message from one queue to another, the new one first.
    pub(crate) async fn carry(&self, from: &str, to: &str, message: &str) {
        let receipt = self.find(from, message).await;
        self.send(to, &[message]).await;
        let delete = json!({ "QueueUrl": self.id(from), "ReceiptHandle": receipt });
        self.sqs("DeleteMessage", &delete).await.unwrap();
    }

    /// Has the queue service move a dead-letter queue's messages back to where they came from.
    pub(crate) async fn redrive(&self, queue: &str) {
        let url = self.id(queue);
        let wanted = json!({ "QueueUrl": url, "AttributeNames": ["QueueArn"] });
        let arn = self.sqs("GetQueueAttributes", &wanted).await.unwrap()["Attributes"]["QueueArn"].clone();
        self.sqs("StartMessageMoveTask", &json!({ "SourceArn": arn })).await.unwrap();
    }
}

/// A gateway's route covers a path: a parameter one part of it, a greedy one the rest.
fn covers(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(greedy), Some(_)) if greedy.ends_with("+}") => return true,
            (Some(part), Some(own)) if part.starts_with('{') || part == own => {}
            _ => return false,
        }
    }
}
