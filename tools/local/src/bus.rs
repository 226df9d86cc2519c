//! The bus of a laptop: nobody listens, so the log tells what would go there.

use evenstock_app::{Bus, BusError, FrozenEvent};
use tracing::info;

/// Logs events by kind and name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogBus;

impl Bus for LogBus {
    async fn put(&self, events: &[FrozenEvent]) -> Result<(), BusError> {
        for FrozenEvent { event_id, event, .. } in events {
            info!(event_id, detail_type = event.bus_name(), "event {event_id} for the bus");
        }
        Ok(())
    }
}
