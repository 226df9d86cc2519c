//! What the environment says about the bus.

use evenstock_app::{BusEvents, BusOutlet};
use evenstock_runtime::{ConfigError, Environment};

/// The bus, if `BUS_EVENTS` names anything that goes there. Without, none is opened.
///
/// # Errors
/// [`ConfigError`] when it names an event that there is not, or what `open` says.
pub fn bus_outlet<B>(
    environment: &Environment,
    open: impl FnOnce() -> Result<B, ConfigError>,
) -> Result<Option<BusOutlet<B>>, ConfigError> {
    let expected = "names of events such as stock.low,order.short, or *";
    let events = environment.parsed("BUS_EVENTS", expected, BusEvents::default())?;
    if events.is_empty() { Ok(None) } else { Ok(Some(BusOutlet { bus: open()?, events })) }
}
