//! The bus of a laptop: nobody listens, so the log tells what would go there.

use std::sync::Arc;

use evenstock_app::{Bus, BusError, FrozenEvent};
use tracing::info;

use crate::rights::{Call, Rights};

/// The logical id of the bus in the template.
const BUS: &str = "EventBus";

/// Who we are, to the rules of the bus.
const SOURCE: &str = "evenstock";

/// Logs events by kind and name.
#[derive(Debug, Clone)]
pub(crate) struct LogBus {
    /// What the function may do that puts events here; `None`: everything.
    pub(crate) rights: Option<Arc<Rights>>,
}

impl Bus for LogBus {
    async fn put(&self, events: &[FrozenEvent]) -> Result<(), BusError> {
        if let Some(rights) = &self.rights {
            let call = Call::new("events:PutEvents", BUS).saying("events:source", vec![SOURCE.to_owned()]);
            rights.check(&call).map_err(|denied| BusError(Box::new(denied)))?;
        }
        for FrozenEvent { event_id, event, .. } in events {
            info!(event_id, detail_type = event.bus_name(), "event {event_id} for the bus");
        }
        Ok(())
    }
}
