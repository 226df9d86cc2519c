//! What the environment says about the bus and the central system.

use evenstock_app::{BusEvents, BusOutlet};
use evenstock_domain::OrganizationId;
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

/// The organization whose changes a central system is told, if `CENTRAL_INVENTORY_URL` names one.
///
/// # Errors
/// [`ConfigError`] when the organization is no name.
pub fn central_organization(environment: &Environment) -> Result<Option<OrganizationId>, ConfigError> {
    let central = environment.optional("CENTRAL_INVENTORY_URL");
    central.map(|_| environment.central_organization()).transpose()
}
