//! The function's entry point in Lambda: wiring only.

use std::collections::BTreeMap;

use evenstock_app::QueueName;
use evenstock_runtime::metrics::send_if_due;
use evenstock_runtime::{Environment, SystemClock, init_telemetry};
use evenstock_scheduler::{Scheduler, handle};
use evenstock_store::{DynamoStore, QueueUrls, SqsQueues, dynamodb_client, sqs_client};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "scheduler").await?;
    let aws = environment.aws()?;
    let store =
        DynamoStore::new(dynamodb_client(&aws), environment.required("TABLE_NAME")?, environment.history_days()?);
    let store_sync = environment.required("STORE_SYNC_QUEUE_URL")?.to_owned();
    let callbacks = environment.required("CALLBACKS_QUEUE_URL")?.to_owned();
    let urls = BTreeMap::from([
        (QueueName::StoreSync, QueueUrls { queue: store_sync, dead_letters: None }),
        (QueueName::Callbacks, QueueUrls { queue: callbacks, dead_letters: None }),
    ]);
    let queue = SqsQueues::new(sqs_client(&aws), urls);
    let scheduler = &Scheduler { store, queue, clock: SystemClock, ids: environment.event_id_key()? };
    let handler = async |event: LambdaEvent<Value>| {
        let answer = handle(scheduler, event.payload).await.map_err(Error::from);
        send_if_due().await;
        answer
    };
    lambda_runtime::run(service_fn(handler)).await
}
