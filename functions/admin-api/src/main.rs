//! The function's entry point in Lambda: wiring only.

use std::sync::Arc;

use evenstock_admin_api::{Administration, router};
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits, serve};
use evenstock_runtime::{Environment, SystemClock, init_telemetry};
use evenstock_store::{DynamoStore, dynamodb_client};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "admin-api").await?;
    let client = dynamodb_client(&environment.aws()?);
    let store = DynamoStore::new(client, environment.required("TABLE_NAME")?, environment.history_days()?);
    let sealer = environment.kms_sealer(&store)?;
    let store = Arc::new(store);
    let access = AccessControl::new(Arc::clone(&store), RateLimits::from_environment(&environment)?);
    let cursors = CursorKey::new(environment.required("EVENT_ID_KEY")?);
    serve(router(Arc::new(Administration { store, clock: SystemClock, sealer, cursors }), &access)).await
}
