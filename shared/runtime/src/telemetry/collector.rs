//! The way to the collector: the same HTTP client that calls AWS, so that a function links no second one.

use core::time::Duration;
use std::sync::{Arc, OnceLock};

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::http::Request;
use aws_smithy_types::body::SdkBody;
use evenstock_telemetry::{Answer, Post, Transport};
use tokio::time::timeout;

/// Requests to a collector. Nothing is opened before the first.
pub(super) fn transport(endpoint: &str) -> Transport {
    let is_secret = endpoint.starts_with("https:");
    let connector: Arc<OnceLock<Connector>> = Arc::default();
    Box::new(move |post, limit| {
        let connector = Arc::clone(&connector);
        Box::pin(async move { send(connector.get_or_init(|| connect(is_secret)), post, limit).await })
    })
}

/// With the system's roots, which are read only where they are needed.
fn connect(is_secret: bool) -> Connector {
    let builder = Connector::builder();
    if is_secret { builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).build() } else { builder.build_http() }
}

async fn send(connector: &Connector, post: Post, limit: Duration) -> Answer {
    let mut request = Request::new(SdkBody::from(post.body));
    request.set_method("POST").map_err(|error| error.to_string())?;
    request.set_uri(post.url).map_err(|error| error.to_string())?;
    for (name, value) in post.headers {
        request.headers_mut().try_insert(name, value).map_err(|_| "a header cannot be sent".to_owned())?;
    }
    match timeout(limit, connector.call(request)).await {
        Ok(Ok(response)) if response.status().is_success() => Ok(()),
        Ok(Ok(response)) => Err(format!("it answered {}", response.status().as_u16())),
        Ok(Err(error)) => Err(evenstock_app::with_causes(&error)),
        Err(_) => Err(format!("it did not answer within {} ms", limit.as_millis())),
    }
}
