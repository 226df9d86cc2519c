//! Stock: what takes changes in, what applies them, what serves them, and what follows from them.

use std::sync::Arc;

use evenstock_app::{RecentPages, Subscriptions, with_causes};
use evenstock_change_publisher::{Publisher, handle_records, repair_feeds};
use evenstock_domain::FeedLimits;
use evenstock_inventory_api::Inventory;
use evenstock_poller::Polls;
use evenstock_replication_api::{Replication, Watch};
use evenstock_runtime::SystemClock;
use evenstock_scheduler::Scheduler;
use evenstock_stock_worker::Worker;
use evenstock_webhook::{Intake, Stores};
use serde_json::json;

use super::site::Site;
use super::{Functions, WiringError, failed, failed_in, scheduled};
use crate::bus::LogBus;

pub(super) fn wire(site: &Site<'_>, functions: &mut Functions) -> Result<(), WiringError> {
    intake(site, functions)?;
    apply(site, functions)?;
    serve(site, functions)?;
    follow(site, functions)
}

fn intake(site: &Site<'_>, functions: &mut Functions) -> Result<(), WiringError> {
    let own = site.of("WebhookFunction")?;
    let configured = evenstock_webhook::connections(site.environment)?;
    let stores = Stores::new(configured, Arc::clone(&own.store), site.sealer()?, SystemClock);
    let intake = Arc::new(Intake { queue: own.queues, stores });
    let deep = evenstock_webhook::load_shed_queue_max(site.environment)?;
    let routes = evenstock_webhook::routes(Arc::clone(&intake));
    functions.on_http("WebhookFunction", evenstock_webhook::shedding(routes, &intake, deep));

    let marketplace = evenstock_poller::marketplace_b(site.environment)?;
    let own = site.of("PollerFunction")?;
    let polls = Arc::new(Polls { store: own.table(), queue: own.queues, clock: SystemClock, marketplace });
    let ticking = Arc::clone(&polls);
    functions.on_tick("PollerFunction", move || {
        let polls = Arc::clone(&ticking);
        async move { evenstock_poller::handle(&polls, scheduled()).await.map_err(|error| with_causes(&error)) }
    });
    functions.on_batch("PollerFunction", move |event| {
        let polls = Arc::clone(&polls);
        async move {
            let answer = evenstock_poller::handle(&polls, json!(event)).await;
            answer.map(|answer| failed_in(&answer)).map_err(|error| with_causes(&error))
        }
    });
    Ok(())
}

fn apply(site: &Site<'_>, functions: &mut Functions) -> Result<(), WiringError> {
    let own = site.of("StockWorkerFunction")?;
    let worker = Arc::new(Worker { store: own.table(), clock: SystemClock, ids: site.ids.clone() });
    functions.on_batch("StockWorkerFunction", move |event| {
        let worker = Arc::clone(&worker);
        async move {
            evenstock_stock_worker::handle(&worker, event).await.map(failed).map_err(|error| with_causes(&error))
        }
    });
    let own = site.of("InventoryApiFunction")?;
    let inventory = Inventory {
        store: Arc::clone(&own.store),
        clock: SystemClock,
        ids: site.ids.clone(),
        cursors: site.cursors()?,
    };
    functions.on_http("InventoryApiFunction", evenstock_inventory_api::routes(Arc::new(inventory), &own.access));
    Ok(())
}

fn serve(site: &Site<'_>, functions: &mut Functions) -> Result<(), WiringError> {
    let own = site.of("ReplicationApiFunction")?;
    let replication = Replication {
        store: Arc::clone(&own.store),
        clock: SystemClock,
        cursors: site.cursors()?,
        watch: Watch::default(),
    };
    functions.on_http("ReplicationApiFunction", evenstock_replication_api::routes(Arc::new(replication), &own.access));
    Ok(())
}

fn follow(site: &Site<'_>, functions: &mut Functions) -> Result<(), WiringError> {
    let own = site.of("ChangePublisherFunction")?;
    let publisher = Arc::new(Publisher {
        store: own.table(),
        queue: own.queues,
        clock: SystemClock,
        ids: site.ids.clone(),
        limits: FeedLimits::keeping_hours(site.environment.feed_retention_hours()?),
        recent: RecentPages::default(),
        subscriptions: Subscriptions::default(),
        bus: evenstock_change_publisher::bus_outlet(site.environment, || Ok(LogBus { rights: own.rights }))?,
        central: evenstock_change_publisher::central_organization(site.environment)?,
    });
    let repairing = Arc::clone(&publisher);
    functions.on_tick("ChangePublisherFunction", move || {
        let publisher = Arc::clone(&repairing);
        async move { repair_feeds(&publisher).await.map_err(|error| with_causes(&error)) }
    });
    functions.on_stream("ChangePublisherFunction", move |event| {
        let publisher = Arc::clone(&publisher);
        async move {
            let failures = handle_records(&publisher, event).await.batch_item_failures;
            failures.into_iter().filter_map(|failure| failure.item_identifier).collect()
        }
    });
    let own = site.of("SchedulerFunction")?;
    let scheduler =
        Arc::new(Scheduler { store: own.table(), queue: own.queues, clock: SystemClock, ids: site.ids.clone() });
    functions.on_tick("SchedulerFunction", move || {
        let scheduler = Arc::clone(&scheduler);
        async move { evenstock_scheduler::handle(&scheduler, scheduled()).await.map_err(|error| with_causes(&error)) }
    });
    Ok(())
}
