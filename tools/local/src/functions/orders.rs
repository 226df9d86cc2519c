//! Stores and orders, and the marketplaces that are played here.

use std::sync::Arc;

use evenstock_app::with_causes;
use evenstock_channels::OrderClient;
use evenstock_mock_marketplace::{Accounts, Mock};
use evenstock_order_worker::Worker;
use evenstock_orders_api::Orders;
use evenstock_runtime::SystemClock;

use super::site::Site;
use super::{Functions, WiringError, failed};

pub(super) fn wire(site: &Site<'_>, functions: &mut Functions) -> Result<(), WiringError> {
    let environment = site.environment;
    let base_url = environment.optional("MARKETPLACE_BASE_URL");
    let credentials = environment.marketplace_credentials()?;
    let marketplace = OrderClient::new(base_url, credentials, site.guard()?, OrderClient::TIMEOUT)?;
    let (checked, policy) = (marketplace.clone(), environment.order_policy()?);
    let own = site.of("OrdersApiFunction")?;
    let orders = Orders {
        store: Arc::clone(&own.store),
        marketplace: marketplace.clone(),
        sealer: site.sealer()?,
        clock: SystemClock,
        policy,
        cursors: site.cursors()?,
        base_urls: Arc::new(move |url| checked.check_base_url(url).map_err(|error| error.to_string())),
    };
    functions.on_http("OrdersApiFunction", evenstock_orders_api::routes(Arc::new(orders), &own.access));

    let own = site.of("OrderWorkerFunction")?;
    let worker = Arc::new(Worker {
        store: own.table(),
        marketplace,
        sealer: site.sealer()?,
        clock: SystemClock,
        queue: own.queues,
        policy,
        lease_ms: environment.store_lease_ms()?,
    });
    functions.on_batch("OrderWorkerFunction", move |event| {
        let worker = Arc::clone(&worker);
        async move {
            evenstock_order_worker::handle(&worker, event).await.map(failed).map_err(|error| with_causes(&error))
        }
    });

    let mock = Mock { accounts: Accounts::from_environment(environment)?, clock: SystemClock };
    functions.on_http("MockMarketplaceFunction", evenstock_mock_marketplace::routes(Arc::new(mock)));
    Ok(())
}
