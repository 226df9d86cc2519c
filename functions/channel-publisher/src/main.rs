//! The function's entry point in Lambda: wiring only.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lambda_events::event::sqs::SqsEvent;
use evenstock_app::QueueName;
use evenstock_channel_publisher::{Pushes, central, handle, settings};
use evenstock_runtime::metrics::{send_if_due, send_to};
use evenstock_runtime::{Environment, SystemClock, init_telemetry, new_id};
use evenstock_store::{DynamoStore, QueueUrls, SqsQueues, dynamodb_client, sqs_client};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "channel-publisher").await?;
    let aws = environment.aws()?;
    let store =
        DynamoStore::new(dynamodb_client(&aws), environment.required("TABLE_NAME")?, environment.history_days()?);
    send_to(Arc::new(store.clone()), "channel-publisher", true);
    let queue = environment.required("STOCK_PUSHES_QUEUE_URL")?.to_owned();
    let dead_letters = environment.required("STOCK_PUSHES_DLQ_URL")?.to_owned();
    let urls = BTreeMap::from([
        (QueueName::StockPushes, QueueUrls { queue, dead_letters: None }),
        (QueueName::StockPushesDlq, QueueUrls { queue: dead_letters, dead_letters: None }),
    ]);
    let pushes = &Pushes {
        store,
        queue: SqsQueues::new(sqs_client(&aws), urls),
        central: central(&environment)?,
        clock: SystemClock,
        ids: environment.event_id_key()?,
        organization: environment.central_organization()?,
        settings: settings(&environment)?,
    };
    let handler = async |event: LambdaEvent<SqsEvent>| {
        let answer = handle(pushes, event.payload, &new_id()).await.map_err(Error::from);
        send_if_due().await;
        answer
    };
    lambda_runtime::run(service_fn(handler)).await
}
