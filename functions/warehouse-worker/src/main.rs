//! The function's entry point in Lambda: wiring only.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lambda_events::event::sqs::SqsEvent;
use evenstock_app::QueueName;
use evenstock_channels::{HttpWarehouses, SystemLookup};
use evenstock_domain::{BreakerConfig, Guard};
use evenstock_runtime::metrics::{send_if_due, send_to};
use evenstock_runtime::{Environment, SystemClock, init_telemetry};
use evenstock_store::{DynamoStore, QueueUrls, SqsQueues, dynamodb_client, sqs_client};
use evenstock_warehouse_worker::{Worker, handle};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "warehouse-worker").await?;
    let aws = environment.aws()?;
    let store =
        DynamoStore::new(dynamodb_client(&aws), environment.required("TABLE_NAME")?, environment.history_days()?);
    send_to(Arc::new(store.clone()), "warehouse-worker", true);
    let url = environment.required("WAREHOUSE_SYNC_QUEUE_URL")?.to_owned();
    let urls = BTreeMap::from([(QueueName::WarehouseSync, QueueUrls { queue: url, dead_letters: None })]);
    let queue = SqsQueues::new(sqs_client(&aws), urls);
    let sealer = environment.kms_sealer(&store)?;
    let feed = HttpWarehouses::new(Guard::default(), SystemLookup, Duration::from_secs(10), sealer)?;
    let breaker = BreakerConfig {
        threshold: environment.parsed("BREAKER_THRESHOLD", "a whole number", 3)?,
        cooldown_ms: i64::from(environment.parsed::<u32>("BREAKER_COOLDOWN_MS", "milliseconds", 900_000)?),
        probe_ms: 120_000,
    };
    let worker = &Worker { store, queue, feed, clock: SystemClock, ids: environment.event_id_key()?, breaker };
    let handler = async |event: LambdaEvent<SqsEvent>| {
        let answer = handle(worker, event.payload).await.map_err(Error::from);
        send_if_due().await;
        answer
    };
    lambda_runtime::run(service_fn(handler)).await
}
