//! The function's entry point in Lambda: wiring only.

use std::sync::Arc;

use evenstock_channels::OrderClient;
use evenstock_domain::Guard;
use evenstock_orders_api::{Orders, router};
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits, serve};
use evenstock_runtime::metrics::send_to;
use evenstock_runtime::{Environment, SystemClock, init_telemetry};
use evenstock_store::{DynamoStore, dynamodb_client};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "orders-api").await?;
    let client = dynamodb_client(&environment.aws()?);
    let store = Arc::new(DynamoStore::new(client, environment.required("TABLE_NAME")?, environment.history_days()?));
    let access = AccessControl::new(Arc::clone(&store), RateLimits::from_environment(&environment)?);
    send_to(Arc::clone(&store), "orders-api", true);
    let base_url = environment.optional("MARKETPLACE_BASE_URL");
    let guard = Guard { allow_private: environment.parsed("ALLOW_PRIVATE_CALLBACKS", "true or false", false)? };
    let credentials = environment.marketplace_credentials()?;
    let marketplace = OrderClient::new(base_url, credentials, guard, OrderClient::TIMEOUT)?;
    let checked = marketplace.clone();
    let orders = Orders {
        sealer: environment.kms_sealer(&store)?,
        store,
        marketplace,
        clock: SystemClock,
        policy: environment.order_policy()?,
        cursors: CursorKey::new(environment.required("EVENT_ID_KEY")?),
        base_urls: Arc::new(move |url| checked.check_base_url(url).map_err(|error| error.to_string())),
    };
    serve(router(Arc::new(orders), &access)).await
}
