//! The functions, as Lambda has them: each by its logical id in the template, wired to what stands in for AWS.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::sqs::SqsEvent;
use axum::Extension;
use axum::Router;
use axum::extract::Path;
use axum::response::Json;
use axum::routing::post;
use evenstock_app::{ApiKey, Outgoing, Queue, QueueName, RecentPages, Scope, StoreError, Subscriptions, with_causes};
use evenstock_channels::{ClientError, HttpCallbacks, HttpWarehouses, OrderClient, SystemLookup, WarehouseClientError};
use evenstock_domain::{BreakerConfig, FeedLimits, Guard, OrganizationId};
use evenstock_runtime::http::{AccessControl, ApiError, Caller, CursorKey, RateLimits, require};
use evenstock_runtime::{ConfigError, Environment, SystemClock};
use evenstock_store::{AwsSettings, DynamoStore, KeyringSealer, dynamodb_client};
use futures::future::{BoxFuture, FutureExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::bus::LogBus;
use crate::queue::LocalQueues;

/// The key that every laptop accepts: all scopes, any organization.
const DEMO_KEY: &str = "demo";

/// Time for one answer of a warehouse.
const WAREHOUSE_TIMEOUT: Duration = Duration::from_secs(10);

type Polls = evenstock_poller::Polls<DynamoStore, LocalQueues, evenstock_channels::MarketplaceB, SystemClock>;

type Publisher = evenstock_change_publisher::Publisher<DynamoStore, LocalQueues, SystemClock, LogBus>;
type Scheduler = evenstock_scheduler::Scheduler<DynamoStore, LocalQueues, SystemClock>;
type OrderWorker = evenstock_order_worker::Worker<DynamoStore, OrderClient, KeyringSealer, SystemClock, LocalQueues>;
type Endpoints =
    evenstock_callbacks_api::Endpoints<DynamoStore, LocalQueues, HttpCallbacks, KeyringSealer, SystemClock>;
type Callbacks =
    evenstock_callback_worker::Callbacks<DynamoStore, LocalQueues, HttpCallbacks, KeyringSealer, SystemClock>;
type WarehouseEvents = evenstock_warehouse_events::WarehouseEvents<DynamoStore, LocalQueues, SystemClock>;
type WarehouseWorker =
    evenstock_warehouse_worker::Worker<DynamoStore, LocalQueues, HttpWarehouses<KeyringSealer>, SystemClock>;

/// Handles a batch of a queue: the ids of the messages that failed, or why all did.
pub(crate) type BatchHandler = Arc<dyn Fn(SqsEvent) -> BoxFuture<'static, Result<Vec<String>, String>> + Send + Sync>;

/// Handles a batch of the stream: the sequence numbers of the records that failed.
pub(crate) type StreamHandler = Arc<dyn Fn(Event) -> BoxFuture<'static, Vec<String>> + Send + Sync>;

/// Handles a tick of a schedule: its report, or why it failed.
pub(crate) type TickHandler = Arc<dyn Fn() -> BoxFuture<'static, Result<Value, String>> + Send + Sync>;

/// Everything that can be triggered.
pub(crate) struct Functions {
    webhook: Router,
    inventory_api: Router,
    sync_api: Router,
    mock_marketplace: Router,
    orders_api: Router,
    order_worker: Arc<OrderWorker>,
    replication_api: Router,
    callbacks_api: Router,
    callbacks: Arc<Callbacks>,
    worker: Arc<evenstock_stock_worker::Worker<DynamoStore, SystemClock>>,
    polls: Arc<Polls>,
    publisher: Arc<Publisher>,
    scheduler: Arc<Scheduler>,
    warehouse_events: Arc<WarehouseEvents>,
    warehouse_worker: Arc<WarehouseWorker>,
    queues: LocalQueues,
    access: AccessControl,
}

/// Why the functions cannot be wired.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WiringError {
    /// The environment.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The client of the marketplaces.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Callbacks cannot be sent.
    #[error(transparent)]
    Callbacks(#[from] evenstock_callback_worker::SetupError),
    /// The first key could not be stored.
    #[error("the key `demo` cannot be stored")]
    Store(#[from] StoreError),
    /// The client of warehouses.
    #[error(transparent)]
    Warehouses(#[from] WarehouseClientError),
    /// A name that is none.
    #[error("DEFAULT_ORGANIZATION is not a name")]
    Organization,
    /// The template has a trigger that this runner does not know how to serve.
    #[error("template.yaml: {function} has a trigger of kind {kind} that the local runner does not serve")]
    Unserved {
        /// The function.
        function: String,
        /// The trigger.
        kind: &'static str,
    },
}

impl Functions {
    /// Wires all functions to the table at `endpoint` and the queues.
    pub(crate) async fn wire(
        environment: &Environment,
        endpoint: &str,
        table: &str,
        queues: &LocalQueues,
    ) -> Result<Self, WiringError> {
        let client = dynamodb_client(&AwsSettings {
            region: "local".to_owned(),
            endpoint_url: Some(endpoint.to_owned()),
            access_key_id: "local".to_owned(),
            secret_access_key: "local".to_owned(),
            session_token: None,
        });
        let store = Arc::new(DynamoStore::new(client, table, environment.history_days()?));
        store.create_key(&Sha256::digest(DEMO_KEY).into(), &demo_key()?).await?;
        let ids = environment.event_id_key()?;
        let access = AccessControl::new(Arc::clone(&store), RateLimits::from_environment(environment)?);

        let connections = evenstock_webhook::connections(environment)?;
        let intake = Arc::new(evenstock_webhook::Intake {
            queue: queues.clone(),
            connections,
            store: store.as_ref().clone(),
            sealer: environment.keyring_sealer()?,
        });
        let deep = evenstock_webhook::load_shed_queue_max(environment)?;
        let cursors = CursorKey::new(environment.required("EVENT_ID_KEY")?);
        let inventory = evenstock_inventory_api::Inventory {
            store: Arc::clone(&store),
            clock: SystemClock,
            ids: ids.clone(),
            cursors,
        };
        // One process stands in for all functions, and so do its counters.
        evenstock_runtime::metrics::send_to(Arc::clone(&store), "local", false);
        let accounts = evenstock_mock_marketplace::Accounts::from_environment(environment)?;
        let mock = evenstock_mock_marketplace::Mock { accounts, clock: SystemClock };
        let replication = evenstock_replication_api::Replication {
            store: Arc::clone(&store),
            clock: SystemClock,
            cursors: CursorKey::new(environment.required("EVENT_ID_KEY")?),
            watch: evenstock_replication_api::Watch::default(),
        };
        let (orders_api, order_worker) = wire_orders(environment, &store, queues, &access)?;
        let (callbacks_api, callbacks) = callbacks(environment, &store, queues)?;
        let marketplace = evenstock_poller::marketplace_b(environment)?;
        let operations = evenstock_sync_api::Operations {
            store: Arc::clone(&store),
            queue: queues.clone(),
            polled: marketplace.as_ref().map(|(_, plan)| plan.organization.clone()),
            settings: evenstock_sync_api::Settings::from_environment(environment)?,
            cursors: CursorKey::new(environment.required("EVENT_ID_KEY")?),
        };
        let warehouse_routes = warehouse_routes(environment, &store, queues, &access)?;
        let store = store.as_ref().clone();
        let (warehouse_events, warehouse_worker) = warehouse_workers(environment, &store, queues)?;
        Ok(Self {
            warehouse_events: Arc::new(warehouse_events),
            warehouse_worker: Arc::new(warehouse_worker),
            queues: queues.clone(),
            webhook: evenstock_webhook::shedding(evenstock_webhook::routes(Arc::clone(&intake)), &intake, deep),
            inventory_api: evenstock_inventory_api::routes(Arc::new(inventory), &access),
            sync_api: evenstock_sync_api::routes(Arc::new(operations), &access).merge(warehouse_routes),
            mock_marketplace: evenstock_mock_marketplace::routes(Arc::new(mock)),
            orders_api,
            order_worker: Arc::new(order_worker),
            replication_api: evenstock_replication_api::routes(Arc::new(replication), &access),
            worker: Arc::new(evenstock_stock_worker::Worker {
                store: store.clone(),
                clock: SystemClock,
                ids: ids.clone(),
            }),
            publisher: Arc::new(Publisher {
                store: store.clone(),
                queue: queues.clone(),
                clock: SystemClock,
                ids: ids.clone(),
                limits: FeedLimits::keeping_hours(environment.feed_retention_hours()?),
                recent: RecentPages::default(),
                subscriptions: Subscriptions::default(),
                bus: evenstock_change_publisher::bus_outlet(environment, || Ok(LogBus))?,
            }),
            scheduler: Arc::new(Scheduler { store: store.clone(), queue: queues.clone(), clock: SystemClock, ids }),
            callbacks_api: evenstock_callbacks_api::routes(Arc::new(callbacks_api), &access),
            callbacks: Arc::new(callbacks),
            polls: Arc::new(Polls { store, queue: queues.clone(), clock: SystemClock, marketplace }),
            access,
        })
    }

    /// A function's routes.
    pub(crate) fn http(&self, function: &str) -> Result<Router, WiringError> {
        match function {
            "WebhookFunction" => Ok(self.webhook.clone()),
            "InventoryApiFunction" => Ok(self.inventory_api.clone()),
            "SyncApiFunction" => Ok(self.sync_api.clone()),
            "OrdersApiFunction" => Ok(self.orders_api.clone()),
            "MockMarketplaceFunction" => Ok(self.mock_marketplace.clone()),
            "ReplicationApiFunction" => Ok(self.replication_api.clone()),
            "CallbacksApiFunction" => Ok(self.callbacks_api.clone()),
            _ => Err(unserved(function, "HttpApi")),
        }
    }

    /// Calls of scheduled functions out of turn, for this machine alone: `POST /local/schedules/{function}` with a key
    /// that may administer.
    pub(crate) fn schedules(&self, ticks: BTreeMap<String, TickHandler>) -> Router {
        let call = async move |Path(function): Path<String>| match ticks.get(&function) {
            None => Err(ApiError::not_found("no schedule calls a function of this name")),
            Some(tick) => match tick().await {
                Ok(report) => Ok(Json(report)),
                Err(reason) => Err(ApiError::unavailable(std::io::Error::other(reason))),
            },
        };
        let routes = Router::new().route("/local/schedules/{function}", post(call));
        require(routes, &self.access, Scope::Admin)
    }

    /// The dead letters, for this machine alone.
    pub(crate) fn dead_letters(&self, queues: &LocalQueues) -> Router {
        require(crate::dead_letters::routes(queues.clone()), &self.access, Scope::Admin)
    }

    /// Messages from outside, for this machine alone: `POST /local/queues/warehouse-events`, one a line, with a key that
    /// may administer.
    pub(crate) fn produce(&self) -> Router {
        let queues = self.queues.clone();
        let send = async move |Extension(caller): Extension<Caller>, body: String| {
            let lines = body.lines().filter(|line| !line.trim().is_empty());
            let messages: Vec<_> =
                lines.map(|line| Outgoing::now(line.to_owned(), caller.organization.clone())).collect();
            let queued = messages.len();
            Queue::send(&queues, QueueName::WarehouseEvents, messages).await?;
            Ok::<_, ApiError>(Json(json!({ "queued": queued })))
        };
        require(Router::new().route("/local/queues/warehouse-events", post(send)), &self.access, Scope::Admin)
    }

    /// A function that is given batches of a queue.
    pub(crate) fn batches(&self, function: &str) -> Result<BatchHandler, WiringError> {
        match function {
            "StockWorkerFunction" => {
                let worker = Arc::clone(&self.worker);
                Ok(Arc::new(move |event| handle_stock(Arc::clone(&worker), event).boxed()))
            }
            "PollerFunction" => {
                let polls = Arc::clone(&self.polls);
                Ok(Arc::new(move |event| handle_jobs(Arc::clone(&polls), event).boxed()))
            }
            "OrderWorkerFunction" => {
                let worker = Arc::clone(&self.order_worker);
                Ok(Arc::new(move |event| handle_stores(Arc::clone(&worker), event).boxed()))
            }
            "CallbackWorkerFunction" => {
                let callbacks = Arc::clone(&self.callbacks);
                Ok(Arc::new(move |event| handle_callbacks(Arc::clone(&callbacks), event).boxed()))
            }
            "WarehouseEventsFunction" => {
                let function = Arc::clone(&self.warehouse_events);
                Ok(Arc::new(move |event| handle_warehouse_events(Arc::clone(&function), event).boxed()))
            }
            "WarehouseWorkerFunction" => {
                let worker = Arc::clone(&self.warehouse_worker);
                Ok(Arc::new(move |event| handle_warehouse_sync(Arc::clone(&worker), event).boxed()))
            }
            _ => Err(unserved(function, "SQS")),
        }
    }

    /// A function that is called by a schedule.
    pub(crate) fn ticks(&self, function: &str) -> Result<TickHandler, WiringError> {
        match function {
            "PollerFunction" => {
                let polls = Arc::clone(&self.polls);
                Ok(Arc::new(move || handle_tick(Arc::clone(&polls)).boxed()))
            }
            "SchedulerFunction" => {
                let scheduler = Arc::clone(&self.scheduler);
                Ok(Arc::new(move || handle_due(Arc::clone(&scheduler)).boxed()))
            }
            "ChangePublisherFunction" => {
                let publisher = Arc::clone(&self.publisher);
                Ok(Arc::new(move || repair_feeds(Arc::clone(&publisher)).boxed()))
            }
            _ => Err(unserved(function, "Schedule")),
        }
    }

    /// A function that is given the table's stream.
    pub(crate) fn stream(&self, function: &str) -> Result<StreamHandler, WiringError> {
        match function {
            "ChangePublisherFunction" => {
                let publisher = Arc::clone(&self.publisher);
                Ok(Arc::new(move |event| publish(Arc::clone(&publisher), event).boxed()))
            }
            _ => Err(unserved(function, "DynamoDB")),
        }
    }
}

/// What registers endpoints, and what calls them.
fn callbacks(
    environment: &Environment,
    store: &Arc<DynamoStore>,
    queues: &LocalQueues,
) -> Result<(Endpoints, Callbacks), WiringError> {
    let endpoints = Endpoints {
        store: Arc::clone(store),
        queue: queues.clone(),
        sender: evenstock_callback_worker::sender(environment)?,
        sealer: environment.keyring_sealer()?,
        clock: SystemClock,
        cursors: CursorKey::new(environment.required("EVENT_ID_KEY")?),
    };
    let callbacks = Callbacks {
        store: store.as_ref().clone(),
        queue: queues.clone(),
        sender: evenstock_callback_worker::sender(environment)?,
        sealer: environment.keyring_sealer()?,
        clock: SystemClock,
        schedule: evenstock_callback_worker::retry_schedule(environment)?,
    };
    Ok((endpoints, callbacks))
}

pub(crate) fn unserved(function: &str, kind: &'static str) -> WiringError {
    WiringError::Unserved { function: function.to_owned(), kind }
}

/// Stores and orders: what asks marketplaces, in the two functions that do.
fn wire_orders(
    environment: &Environment,
    store: &Arc<DynamoStore>,
    queues: &LocalQueues,
    access: &AccessControl,
) -> Result<(Router, OrderWorker), WiringError> {
    let base_url = environment.optional("MARKETPLACE_BASE_URL");
    let guard = Guard { allow_private: environment.parsed("ALLOW_PRIVATE_CALLBACKS", "true or false", false)? };
    let credentials = environment.marketplace_credentials()?;
    let marketplace = OrderClient::new(base_url, credentials, guard, OrderClient::TIMEOUT)?;
    let (checked, policy) = (marketplace.clone(), environment.order_policy()?);
    let orders = evenstock_orders_api::Orders {
        store: Arc::clone(store),
        marketplace: marketplace.clone(),
        sealer: environment.keyring_sealer()?,
        clock: SystemClock,
        policy,
        cursors: CursorKey::new(environment.required("EVENT_ID_KEY")?),
        base_urls: Arc::new(move |url| checked.check_base_url(url).map_err(|error| error.to_string())),
    };
    let worker = OrderWorker {
        store: store.as_ref().clone(),
        marketplace,
        sealer: environment.keyring_sealer()?,
        clock: SystemClock,
        queue: queues.clone(),
        policy,
        lease_ms: environment.store_lease_ms()?,
    };
    Ok((evenstock_orders_api::routes(Arc::new(orders), access), worker))
}

fn demo_key() -> Result<ApiKey, WiringError> {
    Ok(ApiKey {
        id: DEMO_KEY.to_owned(),
        organization: OrganizationId::parse(DEMO_KEY).map_err(|_| WiringError::Organization)?,
        scopes: vec![Scope::Read, Scope::Write, Scope::Admin],
        operator: true,
        expires_at: None,
    })
}

async fn handle_stock(
    worker: Arc<evenstock_stock_worker::Worker<DynamoStore, SystemClock>>,
    event: SqsEvent,
) -> Result<Vec<String>, String> {
    let response = evenstock_stock_worker::handle(&worker, event).await.map_err(|error| with_causes(&error))?;
    Ok(response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect())
}

/// The endpoints of warehouses. This machine's own addresses are allowed: its warehouses run there too.
fn warehouse_routes(
    environment: &Environment,
    store: &Arc<DynamoStore>,
    queues: &LocalQueues,
    access: &AccessControl,
) -> Result<Router, WiringError> {
    let warehouses = evenstock_sync_api::Warehouses {
        store: Arc::clone(store),
        queue: queues.clone(),
        sealer: environment.keyring_sealer()?,
        clock: SystemClock,
        ids: environment.event_id_key()?,
        cursors: CursorKey::new(environment.required("EVENT_ID_KEY")?),
        guard: Guard { allow_private: true },
        default_endpoint: environment.optional("WAREHOUSE_API_ENDPOINT").map(str::to_owned),
    };
    Ok(evenstock_sync_api::warehouse_routes(Arc::new(warehouses), access))
}

fn warehouse_workers(
    environment: &Environment,
    store: &DynamoStore,
    queues: &LocalQueues,
) -> Result<(WarehouseEvents, WarehouseWorker), WiringError> {
    let guard = Guard { allow_private: true };
    let ids = environment.event_id_key()?;
    let breaker = BreakerConfig {
        threshold: environment.parsed("BREAKER_THRESHOLD", "a whole number", 3)?,
        cooldown_ms: i64::from(environment.parsed::<u32>("BREAKER_COOLDOWN_MS", "milliseconds", 900_000)?),
        probe_ms: 120_000,
    };
    let worker = WarehouseWorker {
        store: store.clone(),
        queue: queues.clone(),
        feed: HttpWarehouses::new(guard, SystemLookup, WAREHOUSE_TIMEOUT, environment.keyring_sealer()?)?,
        clock: SystemClock,
        ids: ids.clone(),
        breaker,
    };
    let events = WarehouseEvents { store: store.clone(), queue: queues.clone(), clock: SystemClock, ids };
    Ok((events, worker))
}

/// The names of the messages that an answer says have failed.
fn failures(answer: &Value) -> Vec<String> {
    let failures = answer.get("batchItemFailures").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let id = |failure: &Value| failure.get("itemIdentifier").and_then(Value::as_str).map(str::to_owned);
    failures.iter().filter_map(id).collect()
}

async fn handle_warehouse_events(function: Arc<WarehouseEvents>, event: SqsEvent) -> Result<Vec<String>, String> {
    let handled = evenstock_warehouse_events::handle(&function, json!(event)).await;
    handled.map(|answer| failures(&answer)).map_err(|error| with_causes(&error))
}

async fn handle_stores(worker: Arc<OrderWorker>, event: SqsEvent) -> Result<Vec<String>, String> {
    let response = evenstock_order_worker::handle(&worker, event).await.map_err(|error| with_causes(&error))?;
    Ok(response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect())
}

async fn handle_warehouse_sync(worker: Arc<WarehouseWorker>, event: SqsEvent) -> Result<Vec<String>, String> {
    let response = evenstock_warehouse_worker::handle(&worker, event).await.map_err(|error| with_causes(&error))?;
    Ok(response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect())
}

async fn handle_jobs(polls: Arc<Polls>, event: SqsEvent) -> Result<Vec<String>, String> {
    let response = evenstock_poller::handle(&polls, json!(event)).await.map_err(|error| with_causes(&error))?;
    let failures = response.get("batchItemFailures").and_then(Value::as_array).cloned().unwrap_or_default();
    let id = |failure: &Value| failure.get("itemIdentifier").and_then(Value::as_str).map(str::to_owned);
    Ok(failures.iter().filter_map(id).collect())
}

async fn handle_callbacks(callbacks: Arc<Callbacks>, event: SqsEvent) -> Result<Vec<String>, String> {
    let name = evenstock_runtime::new_id();
    let response =
        evenstock_callback_worker::handle(&callbacks, event, &name).await.map_err(|error| with_causes(&error))?;
    Ok(response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect())
}

async fn publish(publisher: Arc<Publisher>, event: Event) -> Vec<String> {
    let failures = evenstock_change_publisher::handle_records(&publisher, event).await.batch_item_failures;
    failures.into_iter().filter_map(|failure| failure.item_identifier).collect()
}

/// What a schedule sends.
fn scheduled() -> Value {
    json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} })
}

async fn handle_due(scheduler: Arc<Scheduler>) -> Result<Value, String> {
    evenstock_scheduler::handle(&scheduler, scheduled()).await.map_err(|error| with_causes(&error))
}

async fn repair_feeds(publisher: Arc<Publisher>) -> Result<Value, String> {
    evenstock_change_publisher::repair_feeds(&publisher).await.map_err(|error| with_causes(&error))
}

async fn handle_tick(polls: Arc<Polls>) -> Result<Value, String> {
    evenstock_poller::handle(&polls, scheduled()).await.map_err(|error| with_causes(&error))
}
