//! The function's entry point in Lambda: wiring only.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenstock_app::QueueName;
use evenstock_runtime::metrics::{send_if_due, send_to};
use evenstock_runtime::{Environment, SystemClock, init_telemetry};
use evenstock_store::{DynamoStore, QueueUrls, SqsQueues, dynamodb_client, sqs_client};
use evenstock_warehouse_events::{WarehouseEvents, handle};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "warehouse-events").await?;
    let aws = environment.aws()?;
    let store =
        DynamoStore::new(dynamodb_client(&aws), environment.required("TABLE_NAME")?, environment.history_days()?);
    send_to(Arc::new(store.clone()), "warehouse-events", true);
    let dead_letters = environment.required("WAREHOUSE_EVENTS_DLQ_URL")?.to_owned();
    let urls = BTreeMap::from([(QueueName::WarehouseEventsDlq, QueueUrls { queue: dead_letters, dead_letters: None })]);
    let queue = SqsQueues::new(sqs_client(&aws), urls);
    let function = &WarehouseEvents { store, queue, clock: SystemClock, ids: environment.event_id_key()? };
    let handler = async |event: LambdaEvent<Value>| {
        let answer = handle(function, event.payload).await.map_err(Error::from);
        send_if_due().await;
        answer
    };
    lambda_runtime::run(service_fn(handler)).await
}
