//! The function's entry point in Lambda: wiring only.

use std::sync::Arc;

use evenstock_mock_marketplace::{Accounts, Mock, router};
use evenstock_runtime::{Environment, SystemClock, init_telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "mock-marketplace").await?;
    let accounts = Accounts::from_environment(&environment)?;
    lambda_http::run(router(Arc::new(Mock { accounts, clock: SystemClock }))).await
}
