//! Importing an order: claim its receipt, ask the marketplace, keep the answer.
//!
//! However many ask for one receipt at once, one of them claims it and asks; the others wait for its answer. An answer
//! counts only under the claim that it was asked under, so a marketplace that is asked twice is believed once.

use evenstock_domain::{
    Admission, BreakerConfig, CallResult, Claimed, Completed, Line, ProbeToken, Receipt, ReceiptError, ReceiptId,
    ReceiptOrder, RetryPolicy, Source,
};
use tracing::{instrument, warn};

use super::watch::{Moved, Wanted, step_receipt, watch};
use super::{MarketplaceStore, MarketplaceStores, ReceiptStore, StockSignal, StoredReceipt, StoredStore};
use crate::breaker::{Circuit, admit, report_failure, report_success};
use crate::{
    BreakerStore, Clock, MarketplaceAccount, MarketplaceError, OrderMarketplace, SealError, Sealer, StoreError,
    ValidatedOrder, Validation, with_causes,
};

/// How long a twin waits for the one who asks, in milliseconds.
const TWIN_WAIT_MS: i64 = 20_000;

/// Looks of a waiting twin, at most; a bound for clocks that stand still.
const TWIN_LOOKS_MAX: u32 = 400;

/// Faults of our own store that one import survives.
const FAULTS_MAX: u32 = 3;

/// How the marketplaces are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderPolicy {
    /// When to ask again.
    pub retry: RetryPolicy,
    /// When to stop asking a store's marketplace.
    pub breaker: BreakerConfig,
    /// How long a claim holds, in milliseconds: longer than any process that asks lives on after claiming.
    pub claim_ms: i64,
}

/// What importing needs.
#[derive(Debug)]
pub struct OrderDeps<'a, S, M, K, C> {
    /// Stores, receipts and breakers.
    pub store: &'a S,
    /// The marketplaces.
    pub marketplace: &'a M,
    /// Opens the stores' secrets.
    pub sealer: &'a K,
    /// Time.
    pub clock: &'a C,
    /// How the marketplaces are asked.
    pub policy: OrderPolicy,
}

impl<S, M, K, C> Clone for OrderDeps<'_, S, M, K, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, M, K, C> Copy for OrderDeps<'_, S, M, K, C> {}

/// Why an order could not be worked on. A marketplace that gives none is an answer, not an error.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// Our own store failed.
    #[error("the receipt is out of reach")]
    Store(#[from] StoreError),
    /// The store's secret cannot be opened.
    #[error("the store's access token cannot be opened")]
    Seal(#[from] SealError),
    /// Our own queue failed.
    #[error("the continuation could not be queued")]
    Queue(#[from] crate::QueueError),
}

impl OrderError {
    /// Whether a later try may succeed.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_passing(),
            Self::Seal(error) => error.is_passing(),
            Self::Queue(_) => true,
        }
    }
}

/// What importing comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// The receipt with its answer, be it of now or of long ago.
    Answered(Box<Receipt>),
    /// Somebody else asks, and has not heard for longer than a caller should wait.
    Busy,
}

/// Imports an order. `token` names this import, as no other is named.
///
/// # Errors
/// [`OrderError`] when our own parts fail. The caller may ask again; what the marketplace answered meanwhile is kept, or
/// asked for again once the claim has lapsed.
#[instrument(name = "ImportOrder", skip_all, fields(store.id = %of.store.id, receipt.id = %id))]
pub async fn import_order<S, M, K, C>(
    deps: OrderDeps<'_, S, M, K, C>,
    of: &StoredStore,
    id: &ReceiptId,
    token: &str,
) -> Result<Imported, OrderError>
where
    S: MarketplaceStores + ReceiptStore + BreakerStore,
    M: OrderMarketplace,
    K: Sealer,
    C: Clock,
{
    let OrderDeps { store, clock, policy, .. } = deps;
    let give_up_at = clock.now().plus_millis(TWIN_WAIT_MS);
    let mut watched = false;
    for look in 1..=TWIN_LOOKS_MAX {
        let stored = known_receipt(deps, of, id).await?;
        let claimed = match &stored {
            Some(stored) => stored.receipt.claim_first(clock.now(), token, policy.claim_ms),
            None => begin(&of.store, id, deps).claim_first(clock.now(), token, policy.claim_ms),
        };
        match claimed {
            Claimed::Settled => {
                if let Some(stored) = stored {
                    return Ok(Imported::Answered(Box::new(stored.receipt)));
                }
            }
            Claimed::Busy(_) if clock.now() >= give_up_at => return Ok(Imported::Busy),
            Claimed::Busy(_) => clock.back_off(look).await,
            Claimed::Taken(_) | Claimed::Mine => {
                if !watched {
                    // Before the claim, by the time that the claim lapses or the first retry is due: whatever becomes of us,
                    // somebody will look.
                    watch(store, clock, of, policy.claim_ms.min(policy.retry.base_ms)).await?;
                    watched = true;
                }
                if let Some(receipt) = claim_and_ask(deps, of, id, stored, token).await? {
                    return Ok(Imported::Answered(Box::new(receipt)));
                }
            }
        }
    }
    Ok(Imported::Busy)
}

fn begin<S, M, K, C: Clock>(of: &MarketplaceStore, id: &ReceiptId, deps: OrderDeps<'_, S, M, K, C>) -> Receipt {
    let (organization, marketplace) = (of.organization.clone(), of.marketplace.clone());
    Receipt::begin(organization, of.id.clone(), marketplace, id.clone(), deps.clock.now())
}

async fn known_receipt<S: ReceiptStore, M, K, C: Clock>(
    deps: OrderDeps<'_, S, M, K, C>,
    of: &StoredStore,
    id: &ReceiptId,
) -> Result<Option<StoredReceipt>, StoreError> {
    let mut faults = 0;
    loop {
        match deps.store.load_receipt(&of.store.id, id).await {
            Err(error) if error.is_passing() && faults < FAULTS_MAX => faults += 1,
            loaded => return loaded,
        }
        deps.clock.back_off(faults).await;
    }
}

/// Claims the receipt for the first answer, asks and keeps it. `None` when somebody else was faster.
async fn claim_and_ask<S, M, K, C>(
    deps: OrderDeps<'_, S, M, K, C>,
    of: &StoredStore,
    id: &ReceiptId,
    known: Option<StoredReceipt>,
    token: &str,
) -> Result<Option<Receipt>, OrderError>
where
    S: ReceiptStore + BreakerStore,
    M: OrderMarketplace,
    K: Sealer,
    C: Clock,
{
    let OrderDeps { store, clock, policy, .. } = deps;
    // Before the claim: a token that cannot be opened now must not keep others off, nor count as a call.
    let account = of.store.account(deps.sealer).await?;
    let place = (&of.store.id, id);
    let claimed = step_receipt(store, clock, place, Some(known), |current, now| {
        let fresh = current.is_none().then(|| begin(&of.store, id, deps));
        match current.or(fresh.as_ref()).map(|receipt| receipt.claim_first(now, token, policy.claim_ms)) {
            Some(Claimed::Taken(next)) => Wanted::Write(next),
            // Our own claim, whose outcome we did not learn.
            Some(Claimed::Mine) => Wanted::Leave(true),
            _ => Wanted::Leave(false),
        }
    });
    let claimed = match claimed.await? {
        Moved::Written(claimed) => Some(*claimed),
        Moved::Left(true) => None,
        Moved::Left(false) => return Ok(None),
    };
    let result = ask(deps, &of.store, &account, id, token).await?;
    keep(deps, &of.store, id, claimed, token, &result).await.map_err(OrderError::from)
}

/// Asks the marketplace, unless its breaker is open.
pub(super) async fn ask<S, M, K, C>(
    deps: OrderDeps<'_, S, M, K, C>,
    of: &MarketplaceStore,
    account: &MarketplaceAccount,
    id: &ReceiptId,
    token: &str,
) -> Result<CallResult, StoreError>
where
    S: BreakerStore,
    M: OrderMarketplace,
    K: Sync,
    C: Clock,
{
    let OrderDeps { store, marketplace, clock, policy, .. } = deps;
    let breaker = Source::parse(&of.source()).map_err(|error| StoreError::Refused(Box::new(error)))?;
    let circuit = Circuit::of(of.organization.clone(), breaker);
    let admission = admit(store, clock, &circuit, &ProbeToken(token.to_owned()), &policy.breaker).await?;
    if let Admission::Open { until } = admission {
        // An alarm counts these lines.
        warn!(breaker = %circuit.name, %until, store.id = %of.id, "breaker_open");
        return Ok(CallResult::NotMade { until });
    }
    let answer = marketplace.validate(account, id.as_str()).await;
    let reported = match &answer {
        Err(error) if error.counts_as_failure() => {
            warn!(store.id = %of.id, error = with_causes(error), "{} cannot be asked", of.marketplace);
            report_failure(store, clock, &circuit, &admission, &policy.breaker).await
        }
        _ => report_success(store, clock, &circuit, &admission).await,
    };
    if let Err(error) = reported {
        // The answer is worth more than the breaker's count of it.
        warn!(store.id = %of.id, error = with_causes(&error), "the breaker of {} was not told", of.id);
    }
    Ok(result_of(of, answer))
}

fn result_of(of: &MarketplaceStore, answer: Result<Validation, MarketplaceError>) -> CallResult {
    let error = |error, retry_after_seconds| CallResult::Error { error, retry_after_seconds };
    match answer {
        Ok(Validation::Refused) => error(ReceiptError::InvalidReceipt, None),
        Ok(Validation::Accepted(order)) if order.currency != of.settings.currency => {
            error(ReceiptError::CurrencyMismatch, None)
        }
        Ok(Validation::Accepted(order)) => {
            let cancelled = order.cancelled;
            CallResult::Order { order: order_of(of, order), cancelled }
        }
        Err(failure @ MarketplaceError::RateLimited { .. }) => {
            error(ReceiptError::RateLimited, failure.retry_after_seconds())
        }
        Err(MarketplaceError::Unauthorized) => error(ReceiptError::MarketplaceAuth, None),
        Err(failure) => error(ReceiptError::MarketplaceUnavailable, failure.retry_after_seconds()),
    }
}

/// The order with everything that its consequences need, so that later settings do not change what it did.
fn order_of(of: &MarketplaceStore, order: ValidatedOrder) -> ReceiptOrder {
    let settings = &of.settings;
    let line = |line: crate::ValidatedLine| Line {
        sku: line.sku,
        location: line.location.unwrap_or_else(|| settings.default_location.clone()),
        units: line.quantity.get(),
    };
    ReceiptOrder {
        order_id: order.order_id,
        amount: order.amount.as_str().to_owned(),
        currency: order.currency,
        imported_at: order.imported_at,
        lines: order.lines.into_iter().map(line).filter(|line| line.units > 0).collect(),
        moves_stock: settings.stock_signal == StockSignal::Orders,
    }
}

/// Keeps an answer under the claim that it was asked under; the receipt as it then is. `None` when the claim was taken
/// over, so that the answer does not count.
pub(super) async fn keep<S, M, K, C>(
    deps: OrderDeps<'_, S, M, K, C>,
    of: &MarketplaceStore,
    id: &ReceiptId,
    claimed: Option<StoredReceipt>,
    token: &str,
    result: &CallResult,
) -> Result<Option<Receipt>, StoreError>
where
    S: ReceiptStore,
    M: Sync,
    K: Sync,
    C: Clock,
{
    let OrderDeps { store, clock, policy, .. } = deps;
    let kept = step_receipt(store, clock, (&of.id, id), claimed.map(Some), |current, now| {
        let Some(current) = current else {
            return Wanted::Leave(None);
        };
        match current.complete(token, result, now, &policy.retry) {
            Completed::Moved(next) => Wanted::Write(next),
            Completed::Repeated => Wanted::Leave(Some(current.clone())),
            Completed::Lost => Wanted::Leave(None),
        }
    });
    Ok(match kept.await? {
        Moved::Written(kept) => Some(kept.receipt),
        Moved::Left(receipt) => receipt,
    })
}
