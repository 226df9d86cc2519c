//! The function's entry point in Lambda: wiring only.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenstock_app::QueueName;
use evenstock_runtime::http::{serve, shell};
use evenstock_runtime::metrics::log_only;
use evenstock_runtime::{Environment, SystemClock, init_telemetry};
use evenstock_store::{DynamoStore, QueueUrls, SqsQueues, dynamodb_client, sqs_client};
use evenstock_webhook::{Intake, Stores, connections, load_shed_queue_max, routes, shedding};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "webhook").await?;
    let stock_changes = environment.required("STOCK_CHANGES_QUEUE_URL")?.to_owned();
    let urls = BTreeMap::from([(QueueName::StockChanges, QueueUrls { queue: stock_changes, dead_letters: None })]);
    let queue = SqsQueues::new(sqs_client(&environment.aws()?), urls);
    let client = dynamodb_client(&environment.aws()?);
    let store = Arc::new(DynamoStore::new(client, environment.required("TABLE_NAME")?, environment.history_days()?));
    let sealer = environment.kms_sealer(&store)?;
    let stores = Stores::new(connections(&environment)?, store, sealer, SystemClock);
    let intake = Arc::new(Intake { queue, stores });
    let routes = shedding(routes(Arc::clone(&intake)), &intake, load_shed_queue_max(&environment)?);
    log_only("webhook");
    serve(shell(routes)).await
}
