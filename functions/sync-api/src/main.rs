//! The function's entry point in Lambda: wiring only.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenstock_app::QueueName;
use evenstock_domain::Guard;
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits, serve, shell};
use evenstock_runtime::metrics::send_to;
use evenstock_runtime::{ConfigError, Environment, SystemClock, init_telemetry};
use evenstock_store::{DynamoStore, QueueUrls, SqsQueues, dynamodb_client, sqs_client};
use evenstock_sync_api::{Operations, Settings, Warehouses, routes, warehouse_routes};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let environment = Environment::of_process();
    init_telemetry(&environment, "sync-api").await?;
    let aws = environment.aws()?;
    let client = dynamodb_client(&aws);
    let store = Arc::new(DynamoStore::new(client, environment.required("TABLE_NAME")?, environment.history_days()?));
    let urls = [
        (QueueName::StockChanges, "STOCK_CHANGES_QUEUE_URL", "STOCK_CHANGES_DLQ_URL"),
        (QueueName::PollJobs, "POLL_JOBS_QUEUE_URL", "POLL_JOBS_DLQ_URL"),
        (QueueName::StoreSync, "STORE_SYNC_QUEUE_URL", "STORE_SYNC_DLQ_URL"),
        (QueueName::Callbacks, "CALLBACKS_QUEUE_URL", "CALLBACKS_DLQ_URL"),
        (QueueName::WarehouseEvents, "WAREHOUSE_EVENTS_QUEUE_URL", "WAREHOUSE_EVENTS_DLQ_URL"),
        (QueueName::WarehouseSync, "WAREHOUSE_SYNC_QUEUE_URL", "WAREHOUSE_SYNC_DLQ_URL"),
        (QueueName::StockPushes, "STOCK_PUSHES_QUEUE_URL", "STOCK_PUSHES_DLQ_URL"),
    ];
    let urls = urls.into_iter().map(|(name, queue, dead_letters)| {
        let dead_letters = Some(environment.required(dead_letters)?.to_owned());
        Ok::<_, ConfigError>((name, QueueUrls { queue: environment.required(queue)?.to_owned(), dead_letters }))
    });
    let urls = urls.collect::<Result<BTreeMap<_, _>, _>>()?;
    let queue = SqsQueues::new(sqs_client(&aws), urls);
    let organization = environment.default_organization()?;
    let polled = environment.optional("MARKETPLACE_B_API").map(|_| organization);
    let access = AccessControl::new(Arc::clone(&store), RateLimits::from_environment(&environment)?);
    let settings = Settings::from_environment(&environment)?;
    let cursors = CursorKey::new(environment.required("EVENT_ID_KEY")?);
    send_to(Arc::clone(&store), "sync-api", true);
    let warehouses = Warehouses {
        store: Arc::clone(&store),
        queue: queue.clone(),
        sealer: environment.kms_sealer(&store)?,
        clock: SystemClock,
        ids: environment.event_id_key()?,
        cursors: cursors.clone(),
        guard: Guard::default(),
        default_endpoint: None,
    };
    let routes = routes(Arc::new(Operations { store, queue, polled, settings, cursors }), &access);
    serve(shell(routes.merge(warehouse_routes(Arc::new(warehouses), &access)))).await
}
