//! Registers sellers' accounts, imports and cancels their orders, and tells how their synchronization goes.

mod import;
mod list;
mod openapi;
mod register;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use evenstock_app::{
    AuditLog, BreakerStore, Clock, IdempotencyStore, MarketplaceStores, OrderDeps, OrderError, OrderMarketplace,
    OrderPolicy, ReceiptStore, Scope, Sealer, StoredStore, store_of_token,
};
use evenstock_runtime::http::{AccessControl, ApiError, Caller, CursorKey, require, shell};

pub use openapi::openapi;

/// The largest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Says what is wrong with a base URL that a seller names.
pub type BaseUrlCheck = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// What the handlers share.
pub struct Orders<S, M, K, C> {
    /// Stores, receipts, breakers and idempotency records.
    pub store: Arc<S>,
    /// The marketplaces.
    pub marketplace: M,
    /// Seals the stores' secrets.
    pub sealer: K,
    /// Time.
    pub clock: C,
    /// How the marketplaces are asked.
    pub policy: OrderPolicy,
    /// Seals cursors.
    pub cursors: CursorKey,
    /// Which base URLs may be asked.
    pub base_urls: BaseUrlCheck,
}

impl<S, M, K, C> core::fmt::Debug for Orders<S, M, K, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Orders").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl<S, M, K, C> Orders<S, M, K, C> {
    fn deps(&self) -> OrderDeps<'_, S, M, K, C> {
        let Self { store, marketplace, sealer, clock, policy, .. } = self;
        OrderDeps { store, marketplace, sealer, clock, policy: *policy }
    }
}

type Shared<S, M, K, C> = State<Arc<Orders<S, M, K, C>>>;

/// The function as an HTTP service.
pub fn router<S, M, K, C>(orders: Arc<Orders<S, M, K, C>>, access: &AccessControl) -> Router
where
    S: MarketplaceStores + ReceiptStore + BreakerStore + IdempotencyStore + AuditLog + 'static,
    M: OrderMarketplace + 'static,
    K: Sealer + 'static,
    C: Clock + 'static,
{
    shell(routes(orders, access))
}

/// The function's routes, without the shell around them.
pub fn routes<S, M, K, C>(orders: Arc<Orders<S, M, K, C>>, access: &AccessControl) -> Router
where
    S: MarketplaceStores + ReceiptStore + BreakerStore + IdempotencyStore + AuditLog + 'static,
    M: OrderMarketplace + 'static,
    K: Sealer + 'static,
    C: Clock + 'static,
{
    let reads = Router::new()
        .route("/stores/sync-status", get(list::status::<S, M, K, C>))
        .route("/orders", get(list::list::<S, M, K, C>))
        .with_state(Arc::clone(&orders));
    let writes = Router::new()
        .route("/stores/register", post(register::register::<S, M, K, C>))
        .route("/orders/import", post(import::import::<S, M, K, C>))
        .route("/orders/cancel", post(import::cancel::<S, M, K, C>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(orders);
    require(reads, access, Scope::Read).merge(require(writes, access, Scope::Write))
}

/// The store that a sync token leads to. Another organization's is not there, except for an operator.
async fn store_of<S: MarketplaceStores>(store: &S, caller: &Caller, token: &str) -> Result<StoredStore, ApiError> {
    let organization = (!caller.key.operator).then_some(&caller.organization);
    let found = store_of_token(store, token, organization).await?;
    found.ok_or_else(|| ApiError::not_found("no store has this sync token"))
}

/// A sync token as it may look: what it leads to shows later.
fn sync_token(text: &str) -> Result<String, &'static str> {
    let fits = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(text.to_owned()) } else { Err("must be a sync token") }
}

fn failure(error: OrderError) -> ApiError {
    if error.is_passing() { ApiError::unavailable(error) } else { ApiError::internal(error) }
}
