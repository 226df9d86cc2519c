//! Whom the product calls: marketplace B, which is polled, a marketplace that validates receipts, and a receiver of
//! callbacks.

use std::net::TcpListener;

use evenstock_runtime::Environment;
use serde_json::json;
use wiremock::matchers::{body_partial_json, header, method, path, path_regex};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// Names the port in the environment: a deployed stack must know it before we start.
const PORT: &str = "E2E_MARKETPLACE_PORT";

/// Names this machine as the functions see it.
const HOST: &str = "E2E_HOST";

pub(crate) struct Marketplace {
    server: MockServer,
}

impl Marketplace {
    /// A marketplace that has nothing to tell yet.
    pub(crate) async fn start() -> Self {
        let port = Environment::of_process().parsed(PORT, "a port", 0).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let server = MockServer::builder().listener(listener).start().await;
        let empty = ResponseTemplate::new(200).set_body_json(json!({ "items": [] }));
        Mock::given(method("GET")).respond_with(empty).with_priority(9).mount(&server).await;
        let taken = Mock::given(method("POST")).and(path_regex("^/hook/")).respond_with(ResponseTemplate::new(204));
        taken.mount(&server).await;
        Self { server }
    }

    /// What was called back at a path so far.
    pub(crate) async fn called_back(&self, path: &str) -> Vec<Request> {
        let requests = self.server.received_requests().await.unwrap();
        requests.into_iter().filter(|request| request.url.path() == path).collect()
    }

    /// Where the product finds it: a container reaches this machine by another name.
    pub(crate) fn url(&self) -> String {
        match Environment::of_process().optional(HOST) {
            Some(host) => format!("http://{host}:{}", self.server.address().port()),
            None => self.server.uri(),
        }
    }

    /// Lets the list of changed stock hold these rows.
    pub(crate) async fn lists(&self, rows: serde_json::Value) {
        Mock::given(method("GET"))
            .and(path("/inventory/updates"))
            .and(header("authorization", "Bearer test-key"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "items": rows })))
            .mount(&self.server)
            .await;
    }

    /// Has too much to do when it is asked about a receipt for the first time, and then accepts it.
    pub(crate) async fn accepts_at_second_try(&self, receipt: &str, currency: &str) {
        let asked = || Mock::given(method("POST")).and(body_partial_json(json!({ "receipt": receipt })));
        let busy = ResponseTemplate::new(429).set_body_json(json!({ "error": "rate_limited" }));
        asked().respond_with(busy).up_to_n_times(1).with_priority(1).mount(&self.server).await;
        let order = json!({
            "status": true, "orderId": format!("ORD-{receipt}"), "amount": 19.99, "currency": currency,
            "importedAtUTC": "2026-11-20T08:00:00.000Z",
        });
        asked()
            .respond_with(ResponseTemplate::new(200).set_body_json(order))
            .with_priority(2)
            .mount(&self.server)
            .await;
    }
}
