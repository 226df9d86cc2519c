//! The function's entry point in Lambda: wiring only.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenstock_app::QueueName;
use evenstock_poller::{Polls, handle, marketplace_b};
use evenstock_runtime::metrics::{send_if_due, send_to};
use evenstock_runtime::{Environment, SystemClock, init_telemetry};
use evenstock_store::{DynamoStore, QueueUrls, SqsQueues, dynamodb_client, sqs_client};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "poller").await?;
    let aws = environment.aws()?;
    let store =
        DynamoStore::new(dynamodb_client(&aws), environment.required("TABLE_NAME")?, environment.history_days()?);
    send_to(Arc::new(store.clone()), "poller", true);
    let stock_changes = environment.required("STOCK_CHANGES_QUEUE_URL")?.to_owned();
    let urls = BTreeMap::from([(QueueName::StockChanges, QueueUrls { queue: stock_changes, dead_letters: None })]);
    let queue = SqsQueues::new(sqs_client(&aws), urls);
    let polls = Polls { store, queue, clock: SystemClock, marketplace: marketplace_b(&environment)? };
    let polls = &polls;
    let handler = async |event: LambdaEvent<Value>| {
        let answer = handle(polls, event.payload).await.map_err(Error::from);
        send_if_due().await;
        answer
    };
    lambda_runtime::run(service_fn(handler)).await
}
