//! The function's entry point in Lambda: wiring only.
#![recursion_limit = "256"]

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lambda_events::event::sqs::SqsEvent;
use evenstock_app::QueueName;
use evenstock_channels::OrderClient;
use evenstock_domain::Guard;
use evenstock_order_worker::{Worker, handle};
use evenstock_runtime::metrics::{send_if_due, send_to};
use evenstock_runtime::{Environment, SystemClock, init_telemetry};
use evenstock_store::{DynamoStore, QueueUrls, SqsQueues, dynamodb_client, sqs_client};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "order-worker").await?;
    let aws = environment.aws()?;
    let store =
        DynamoStore::new(dynamodb_client(&aws), environment.required("TABLE_NAME")?, environment.history_days()?);
    send_to(Arc::new(store.clone()), "order-worker", true);
    let store_sync = environment.required("STORE_SYNC_QUEUE_URL")?.to_owned();
    let urls = BTreeMap::from([(QueueName::StoreSync, QueueUrls { queue: store_sync, dead_letters: None })]);
    let base_url = environment.optional("MARKETPLACE_BASE_URL");
    let guard = Guard { allow_private: environment.parsed("ALLOW_PRIVATE_CALLBACKS", "true or false", false)? };
    let credentials = environment.marketplace_credentials()?;
    let worker = &Worker {
        marketplace: OrderClient::new(base_url, credentials, guard, OrderClient::TIMEOUT)?,
        sealer: environment.kms_sealer(&store)?,
        store,
        clock: SystemClock,
        queue: SqsQueues::new(sqs_client(&aws), urls),
        policy: environment.order_policy()?,
        lease_ms: environment.store_lease_ms()?,
    };
    let handler = async |event: LambdaEvent<SqsEvent>| {
        let answer = handle(worker, event.payload).await.map_err(Error::from);
        send_if_due().await;
        answer
    };
    lambda_runtime::run(service_fn(handler)).await
}
