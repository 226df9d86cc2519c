//! The function's entry point in Lambda: wiring only.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenstock_app::QueueName;
use evenstock_callbacks_api::{Endpoints, router};
use evenstock_channels::callbacks_sender;
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits, serve};
use evenstock_runtime::metrics::send_to;
use evenstock_runtime::{Environment, SystemClock, init_telemetry};
use evenstock_store::{DynamoStore, QueueUrls, SqsQueues, dynamodb_client, sqs_client};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "callbacks-api").await?;
    let aws = environment.aws()?;
    let store =
        DynamoStore::new(dynamodb_client(&aws), environment.required("TABLE_NAME")?, environment.history_days()?);
    let sealer = environment.kms_sealer(&store)?;
    let store = Arc::new(store);
    send_to(Arc::clone(&store), "callbacks-api", true);
    let url = environment.required("CALLBACKS_QUEUE_URL")?.to_owned();
    let urls = BTreeMap::from([(QueueName::Callbacks, QueueUrls { queue: url, dead_letters: None })]);
    let queue = SqsQueues::new(sqs_client(&aws), urls);
    let access = AccessControl::new(Arc::clone(&store), RateLimits::from_environment(&environment)?);
    let allow_private = environment.parsed("ALLOW_PRIVATE_CALLBACKS", "true or false", false)?;
    let cursors = CursorKey::new(environment.required("EVENT_ID_KEY")?);
    let sender = callbacks_sender(allow_private)?;
    serve(router(Arc::new(Endpoints { store, queue, sender, sealer, clock: SystemClock, cursors }), &access)).await
}
