//! The function's entry point in Lambda: wiring only.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lambda_events::event::sqs::SqsEvent;
use evenstock_app::QueueName;
use evenstock_callback_worker::{Callbacks, handle, retry_schedule, sender};
use evenstock_runtime::metrics::{send_if_due, send_to};
use evenstock_runtime::{Environment, SystemClock, init_telemetry, new_id};
use evenstock_store::{DynamoStore, QueueUrls, SqsQueues, dynamodb_client, sqs_client};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "callback-worker").await?;
    let settings = environment.aws()?;
    let client = dynamodb_client(&settings);
    let store = DynamoStore::new(client, environment.required("TABLE_NAME")?, environment.history_days()?);
    send_to(Arc::new(store.clone()), "callback-worker", true);
    let url = environment.required("CALLBACKS_QUEUE_URL")?;
    let urls = BTreeMap::from([(QueueName::Callbacks, QueueUrls { queue: url.to_owned(), dead_letters: None })]);
    let callbacks = Callbacks {
        queue: SqsQueues::new(sqs_client(&settings), urls),
        sender: sender(&environment)?,
        sealer: environment.kms_sealer(&store)?,
        clock: SystemClock,
        schedule: retry_schedule(&environment)?,
        store,
    };
    let callbacks = &callbacks;
    let handler = async |event: LambdaEvent<SqsEvent>| {
        let answer = handle(callbacks, event.payload, &new_id()).await.map_err(Error::from);
        send_if_due().await;
        answer
    };
    lambda_runtime::run(service_fn(handler)).await
}
