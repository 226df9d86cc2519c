//! Pushes to a central system.

use std::sync::Arc;

use evenstock_app::with_causes;
use evenstock_channel_publisher::Pushes;
use evenstock_runtime::{SystemClock, new_id};

use super::site::Site;
use super::{Functions, WiringError, failed};

pub(super) fn wire(site: &Site<'_>, functions: &mut Functions) -> Result<(), WiringError> {
    let own = site.of("ChannelPublisherFunction")?;
    let pushes = Arc::new(Pushes {
        store: own.table(),
        queue: own.queues,
        central: evenstock_channel_publisher::central(site.environment)?,
        clock: SystemClock,
        ids: site.ids.clone(),
        organization: site.environment.central_organization()?,
        settings: evenstock_channel_publisher::settings(site.environment)?,
    });
    functions.on_batch("ChannelPublisherFunction", move |event| {
        let pushes = Arc::clone(&pushes);
        async move {
            let response = evenstock_channel_publisher::handle(&pushes, event, &new_id()).await;
            response.map(failed).map_err(|error| with_causes(&error))
        }
    });
    Ok(())
}
