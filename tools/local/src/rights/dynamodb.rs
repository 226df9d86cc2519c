//! A client of DynamoDB that asks a function's rights before each call.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use serde_json::Value;

use super::{Rights, calls_of};

/// The same client, as a function with these rights uses it.
pub(crate) fn guarded(client: &Client, rights: &Arc<Rights>) -> Client {
    let guard = Guard(Arc::clone(rights));
    Client::from_conf(client.config().to_builder().interceptor(guard).build())
}

#[derive(Debug)]
struct Guard(Arc<Rights>);

/// A request that cannot be understood cannot be allowed.
#[derive(Debug, thiserror::Error)]
#[error("a request to DynamoDB is not understood: {0}")]
struct NotUnderstood(String);

impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "rights"
    }

    fn read_before_signing(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let request = context.request();
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default())?;
        let calls = calls_of(target, &body).ok_or_else(|| NotUnderstood(target.to_owned()))?;
        for call in calls {
            self.0.check(&call)?;
        }
        Ok(())
    }
}
