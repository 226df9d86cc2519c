//! Operations: health, metrics, jobs and the switch of the periodic sync; API keys and the audit log.

use std::sync::Arc;

use evenstock_admin_api::Administration;
use evenstock_runtime::SystemClock;
use evenstock_sync_api::{Operations, Settings};

use super::site::Site;
use super::{Functions, WiringError};

pub(super) fn wire(site: &Site<'_>, functions: &mut Functions) -> Result<(), WiringError> {
    let marketplace = evenstock_poller::marketplace_b(site.environment)?;
    let own = site.of("SyncApiFunction")?;
    let operations = Operations {
        store: Arc::clone(&own.store),
        queue: own.queues.clone(),
        polled: marketplace.map(|(_, plan)| plan.organization),
        settings: Settings::from_environment(site.environment)?,
        cursors: site.cursors()?,
    };
    functions.on_http("SyncApiFunction", evenstock_sync_api::routes(Arc::new(operations), &own.access));

    let own = site.of("AdminApiFunction")?;
    let administration = Administration {
        store: Arc::clone(&own.store),
        clock: SystemClock,
        sealer: site.sealer()?,
        cursors: site.cursors()?,
    };
    functions.on_http("AdminApiFunction", evenstock_admin_api::routes(Arc::new(administration), &own.access));
    Ok(())
}
