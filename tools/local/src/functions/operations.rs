//! Operations: health, metrics, jobs and the switch of the periodic sync; API keys and the audit log.

use std::sync::Arc;

use evenstock_admin_api::Administration;
use evenstock_runtime::SystemClock;
use evenstock_sync_api::{Operations, Settings};

use super::site::Site;
use super::{Functions, WiringError};

pub(super) fn wire(site: &Site<'_>, functions: &mut Functions) -> Result<(), WiringError> {
    let marketplace = evenstock_poller::marketplace_b(site.environment)?;
    let operations = Operations {
        store: Arc::clone(&site.store),
        queue: site.queues.clone(),
        polled: marketplace.map(|(_, plan)| plan.organization),
        settings: Settings::from_environment(site.environment)?,
        cursors: site.cursors()?,
    };
    functions.on_http("SyncApiFunction", evenstock_sync_api::routes(Arc::new(operations), &site.access));

    let administration = Administration {
        store: Arc::clone(&site.store),
        clock: SystemClock,
        sealer: site.sealer()?,
        cursors: site.cursors()?,
    };
    functions.on_http("AdminApiFunction", evenstock_admin_api::routes(Arc::new(administration), &site.access));
    Ok(())
}
