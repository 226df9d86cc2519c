//! The function's entry point in Lambda: wiring only.

use std::sync::Arc;

use evenstock_replication_api::{Replication, Watch, router};
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits, serve};
use evenstock_runtime::metrics::send_to;
use evenstock_runtime::{Environment, SystemClock, init_telemetry};
use evenstock_store::{DynamoStore, dynamodb_client};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "replication-api").await?;
    let client = dynamodb_client(&environment.aws()?);
    let store = Arc::new(DynamoStore::new(client, environment.required("TABLE_NAME")?, environment.history_days()?));
    let access = AccessControl::new(Arc::clone(&store), RateLimits::from_environment(&environment)?);
    let cursors = CursorKey::new(environment.required("EVENT_ID_KEY")?);
    send_to(Arc::clone(&store), "replication-api", true);
    let replication = Replication { store, clock: SystemClock, cursors, watch: Watch::default() };
    serve(router(Arc::new(replication), &access)).await
}
