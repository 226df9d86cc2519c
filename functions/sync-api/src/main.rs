//! The function's entry point in Lambda: wiring only.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenstock_app::QueueName;
use evenstock_domain::Guard;
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits, serve, shell};
use evenstock_runtime::{Environment, LogFormat, SystemClock, init_logs};
use evenstock_store::{DynamoStore, QueueUrls, SqsQueues, dynamodb_client, sqs_client};
use evenstock_sync_api::{Operations, Warehouses, routes, warehouse_routes};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let environment = Environment::of_process();
    init_logs(environment.optional("LOG_LEVEL").unwrap_or("info"), LogFormat::Json);
    let aws = environment.aws()?;
    let client = dynamodb_client(&aws);
    let store = Arc::new(DynamoStore::new(client, environment.required("TABLE_NAME")?, environment.history_days()?));
    let dead_letters = Some(environment.required("STOCK_CHANGES_DLQ_URL")?.to_owned());
    let stock_changes = environment.required("STOCK_CHANGES_QUEUE_URL")?.to_owned();
    let poll_jobs = environment.required("POLL_JOBS_QUEUE_URL")?.to_owned();
    let warehouse_sync = environment.required("WAREHOUSE_SYNC_QUEUE_URL")?.to_owned();
    let urls = BTreeMap::from([
        (QueueName::StockChanges, QueueUrls { queue: stock_changes, dead_letters }),
        (QueueName::PollJobs, QueueUrls { queue: poll_jobs, dead_letters: None }),
        (QueueName::WarehouseSync, QueueUrls { queue: warehouse_sync, dead_letters: None }),
    ]);
    let queue = SqsQueues::new(sqs_client(&aws), urls);
    let organization = environment.default_organization()?;
    let polled = environment.optional("MARKETPLACE_B_API").map(|_| organization);
    let access = AccessControl::new(Arc::clone(&store), RateLimits::from_environment(&environment)?);
    let warehouses = Warehouses {
        store: Arc::clone(&store),
        queue: queue.clone(),
        sealer: environment.kms_sealer(&store)?,
        clock: SystemClock,
        ids: environment.event_id_key()?,
        cursors: CursorKey::new(environment.required("EVENT_ID_KEY")?),
        guard: Guard::default(),
        default_endpoint: None,
    };
    let routes = routes(Arc::new(Operations { store, queue, polled }), &access);
    serve(shell(routes.merge(warehouse_routes(Arc::new(warehouses), &access)))).await
}
