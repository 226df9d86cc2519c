//! Deliveries of stores that sellers registered: found by their id, proven by their own secret, and tied to what the seller
//! says that they tell.

use evenstock_app::{
    MarketplaceStores, Queue, ReceiptStore, SealError, Sealer, StockChange, StockSignal, StoredStore, cancel_order,
    note_receipt,
};
use evenstock_channels::{OrderNotice, Secret};
use evenstock_domain::StoreId;
use evenstock_runtime::SystemClock;
use evenstock_runtime::http::ApiError;
use tracing::info;

use crate::{Connection, Intake};

/// The store of this id, when it is one of this channel. One that has no webhook secret is there, and nothing that comes
/// for it is believed.
pub(crate) async fn find<Q, S, K>(
    intake: &Intake<Q, S, K>,
    channel: &'static str,
    id: &str,
) -> Result<Option<(Connection, Option<StoredStore>)>, ApiError>
where
    Q: Queue,
    S: MarketplaceStores,
    K: Sealer,
{
    let Ok(id) = StoreId::parse(id) else {
        return Ok(None);
    };
    let found = intake.store.load_store(&id).await?;
    let Some(of) = found.filter(|found| found.store.marketplace.as_str() == channel) else {
        return Ok(None);
    };
    let mut secrets = Vec::new();
    if let Some(sealed) = &of.store.settings.webhook_secret {
        let secret = intake.sealer.open(&of.store.webhook_secret_context(), sealed).await.map_err(failure)?;
        secrets.push(Secret::new(secret.expose()).map_err(ApiError::internal)?);
    }
    let organization = of.store.organization.clone();
    Ok(Some((Connection { channel, store: id, organization, secrets }, Some(of))))
}

/// Notes what is told of orders: the store's worker asks about them. The same notice again changes nothing.
pub(crate) async fn note<Q, S, K>(
    intake: &Intake<Q, S, K>,
    of: &StoredStore,
    notices: &[OrderNotice],
    job_id: &str,
) -> Result<(), ApiError>
where
    Q: Queue,
    S: MarketplaceStores + ReceiptStore,
    K: Sealer,
{
    for notice in notices {
        match notice {
            OrderNotice::Placed(receipt) => note_receipt(&intake.store, &SystemClock, of, receipt).await?,
            OrderNotice::Cancelled(receipt) => {
                cancel_order(&intake.store, &SystemClock, of, receipt).await?;
            }
        }
        info!(job.id = job_id, store.id = %of.store.id, "notice {job_id} of an order of {} noted", of.store.id);
    }
    Ok(())
}

/// The changes that count: those of a store whose numbers are the truth about its levels. Where orders move stock, its
/// numbers would count every order twice.
pub(crate) fn counted(of: &StoredStore, changes: Vec<StockChange>, job_id: &str) -> Vec<StockChange> {
    let signal = of.store.settings.stock_signal;
    if signal == StockSignal::Authority || changes.is_empty() {
        return changes;
    }
    let (store, signal) = (&of.store.id, signal.as_str());
    info!(job.id = job_id, store.id = %store, signal, "counts of {store} move no stock, because its {signal} do");
    Vec::new()
}

fn failure(error: SealError) -> ApiError {
    if error.is_passing() { ApiError::unavailable(error) } else { ApiError::internal(error) }
}
