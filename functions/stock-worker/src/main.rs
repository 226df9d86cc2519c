//! The function's entry point in Lambda: wiring only.

use std::sync::Arc;

use aws_lambda_events::event::sqs::SqsEvent;
use evenstock_runtime::metrics::{send_if_due, send_to};
use evenstock_runtime::{Environment, SystemClock, init_telemetry};
use evenstock_stock_worker::{Worker, handle};
use evenstock_store::{DynamoStore, dynamodb_client};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "stock-worker").await?;
    let client = dynamodb_client(&environment.aws()?);
    let store = DynamoStore::new(client, environment.required("TABLE_NAME")?, environment.history_days()?);
    send_to(Arc::new(store.clone()), "stock-worker", true);
    let worker = Worker { store, clock: SystemClock, ids: environment.event_id_key()? };
    let worker = &worker;
    let handler = async |event: LambdaEvent<SqsEvent>| {
        let answer = handle(worker, event.payload).await.map_err(Error::from);
        send_if_due().await;
        answer
    };
    lambda_runtime::run(service_fn(handler)).await
}
