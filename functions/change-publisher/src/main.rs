//! The function's entry point in Lambda: wiring only.

use std::collections::BTreeMap;

use evenstock_app::{QueueName, RecentPages, Subscriptions};
use evenstock_change_publisher::{Publisher, bus_outlet, central_organization, handle};
use evenstock_domain::FeedLimits;
use evenstock_runtime::metrics::send_if_due;
use evenstock_runtime::{Environment, SystemClock, init_telemetry};
use evenstock_store::{
    DynamoStore, EventBridge, QueueUrls, SqsQueues, dynamodb_client, event_bridge_client, sqs_client,
};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "change-publisher").await?;
    let aws = environment.aws()?;
    let store =
        DynamoStore::new(dynamodb_client(&aws), environment.required("TABLE_NAME")?, environment.history_days()?);
    let dead_letters = environment.required("STREAM_DLQ_URL")?.to_owned();
    let stock_changes = environment.required("STOCK_CHANGES_QUEUE_URL")?.to_owned();
    let callbacks = environment.required("CALLBACKS_QUEUE_URL")?.to_owned();
    let pushes = environment.required("STOCK_PUSHES_QUEUE_URL")?.to_owned();
    let urls = BTreeMap::from([
        (QueueName::StreamDlq, QueueUrls { queue: dead_letters, dead_letters: None }),
        (QueueName::StockChanges, QueueUrls { queue: stock_changes, dead_letters: None }),
        (QueueName::Callbacks, QueueUrls { queue: callbacks, dead_letters: None }),
        (QueueName::StockPushes, QueueUrls { queue: pushes, dead_letters: None }),
    ]);
    let open = || Ok(EventBridge::new(event_bridge_client(&aws), environment.required("BUS_NAME")?));
    let publisher = &Publisher {
        store,
        queue: SqsQueues::new(sqs_client(&aws), urls),
        clock: SystemClock,
        ids: environment.event_id_key()?,
        limits: FeedLimits::keeping_hours(environment.feed_retention_hours()?),
        recent: RecentPages::default(),
        subscriptions: Subscriptions::default(),
        bus: bus_outlet(&environment, open)?,
        central: central_organization(&environment)?,
    };
    let handler = async |event: LambdaEvent<Value>| {
        // Boxed for the compiler, which gives up on so many futures within each other.
        let answer = Box::pin(handle(publisher, event.payload)).await.map_err(Error::from);
        send_if_due().await;
        answer
    };
    lambda_runtime::run(service_fn(handler)).await
}
