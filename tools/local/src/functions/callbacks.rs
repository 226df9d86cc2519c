//! Callbacks: what registers endpoints, and what calls them.

use std::sync::Arc;

use evenstock_app::with_causes;
use evenstock_callback_worker::Callbacks;
use evenstock_callbacks_api::Endpoints;
use evenstock_runtime::{SystemClock, new_id};

use super::site::Site;
use super::{Functions, WiringError, failed};

pub(super) fn wire(site: &Site<'_>, functions: &mut Functions) -> Result<(), WiringError> {
    let own = site.of("CallbacksApiFunction")?;
    let endpoints = Endpoints {
        store: Arc::clone(&own.store),
        queue: own.queues.clone(),
        sender: evenstock_callback_worker::sender(site.environment)?,
        sealer: site.sealer()?,
        clock: SystemClock,
        cursors: site.cursors()?,
    };
    functions.on_http("CallbacksApiFunction", evenstock_callbacks_api::routes(Arc::new(endpoints), &own.access));

    let own = site.of("CallbackWorkerFunction")?;
    let callbacks = Arc::new(Callbacks {
        store: own.table(),
        queue: own.queues,
        sender: evenstock_callback_worker::sender(site.environment)?,
        sealer: site.sealer()?,
        clock: SystemClock,
        schedule: evenstock_callback_worker::retry_schedule(site.environment)?,
    });
    functions.on_batch("CallbackWorkerFunction", move |event| {
        let callbacks = Arc::clone(&callbacks);
        async move {
            let response = evenstock_callback_worker::handle(&callbacks, event, &new_id()).await;
            response.map(failed).map_err(|error| with_causes(&error))
        }
    });
    Ok(())
}
