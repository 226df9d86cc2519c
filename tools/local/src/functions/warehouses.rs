//! Warehouses: their change events, their conflicts and their reconciliation. This machine's own addresses are allowed:
//! its warehouses run there too.

use std::sync::Arc;
use std::time::Duration;

use evenstock_app::with_causes;
use evenstock_channels::{HttpWarehouses, SystemLookup};
use evenstock_domain::{BreakerConfig, Guard};
use evenstock_runtime::SystemClock;
use evenstock_sync_api::Warehouses;
use evenstock_warehouse_events::WarehouseEvents;
use evenstock_warehouse_worker::Worker;
use serde_json::json;

use super::site::Site;
use super::{Functions, WiringError, failed, failed_in};

/// Time for one answer of a warehouse.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a probe of an open breaker may be under way, in milliseconds.
const PROBE_MS: i64 = 120_000;

pub(super) fn wire(site: &Site<'_>, functions: &mut Functions) -> Result<(), WiringError> {
    let guard = Guard { allow_private: true };
    let own = site.of("SyncApiFunction")?;
    let warehouses = Warehouses {
        store: Arc::clone(&own.store),
        queue: own.queues.clone(),
        sealer: site.sealer()?,
        clock: SystemClock,
        ids: site.ids.clone(),
        cursors: site.cursors()?,
        guard,
        default_endpoint: site.environment.optional("WAREHOUSE_API_ENDPOINT").map(str::to_owned),
    };
    let routes = evenstock_sync_api::warehouse_routes(Arc::new(warehouses), &own.access);
    functions.on_http("SyncApiFunction", routes);

    let own = site.of("WarehouseEventsFunction")?;
    let events =
        Arc::new(WarehouseEvents { store: own.table(), queue: own.queues, clock: SystemClock, ids: site.ids.clone() });
    functions.on_batch("WarehouseEventsFunction", move |event| {
        let events = Arc::clone(&events);
        async move {
            let answer = evenstock_warehouse_events::handle(&events, json!(event)).await;
            answer.map(|answer| failed_in(&answer)).map_err(|error| with_causes(&error))
        }
    });

    let cooldown_ms: u32 = site.environment.parsed("BREAKER_COOLDOWN_MS", "milliseconds", 900_000)?;
    let own = site.of("WarehouseWorkerFunction")?;
    let worker = Arc::new(Worker {
        store: own.table(),
        queue: own.queues,
        feed: HttpWarehouses::new(guard, SystemLookup, TIMEOUT, site.sealer()?)?,
        clock: SystemClock,
        ids: site.ids.clone(),
        breaker: BreakerConfig {
            threshold: site.environment.parsed("BREAKER_THRESHOLD", "a whole number", 3)?,
            cooldown_ms: i64::from(cooldown_ms),
            probe_ms: PROBE_MS,
        },
    });
    functions.on_batch("WarehouseWorkerFunction", move |event| {
        let worker = Arc::clone(&worker);
        async move {
            evenstock_warehouse_worker::handle(&worker, event).await.map(failed).map_err(|error| with_causes(&error))
        }
    });
    Ok(())
}
