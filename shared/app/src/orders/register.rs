//! Registering a seller's account: one store and one sync token for each triple, whoever registers it at once.
//!
//! Three items, each put once: the claim of the triple decides the names, then the store, then the token that leads to it.
//! Where this breaks off, the same registration goes on. A token never leads to a store that is not there.

use evenstock_domain::{LocationId, Marketplace, OrganizationId, StoreId, StoreSync};
use sha2::{Digest, Sha256};

use super::import::OrderError;
use super::store::context;
use super::{
    MarketplaceStore, MarketplaceStores, ReplacedSecret, StockSignal, StoreClaim, StoreSettings, StoreWrite,
    StoredStore, sync_token_hash,
};
use crate::{Clock, Sealed, Sealer, SecretText, StoreError};

/// Tries at writing the store. Only registrations and the store's worker contend for it.
const ATTEMPTS_MAX: u32 = 16;

/// How long a webhook secret that was replaced still proves deliveries, in milliseconds: those that are on their way, and
/// those that the marketplace signs until its seller has told it the new one.
const REPLACED_MS: i64 = 60 * 60 * 1000;

/// Where units are taken from when nobody says.
const LOCATION_DEFAULT: &str = "default";

/// What a seller registers. What is left out stays as it is, or is as usual for a new store.
#[derive(Debug, Clone)]
pub struct RegisterStore {
    /// The tenant.
    pub organization: OrganizationId,
    /// The kind of marketplace.
    pub marketplace: Marketplace,
    /// The account's name there.
    pub external_id: StoreId,
    /// Its name, for people.
    pub name: String,
    /// Its currency: three capital letters.
    pub currency: String,
    /// What proves to the marketplace that we ask for the seller.
    pub access_token: SecretText,
    /// What it tells us of its stock.
    pub stock_signal: Option<StockSignal>,
    /// Where units are taken from when an order's line does not say.
    pub default_location: Option<LocationId>,
    /// What it signs its deliveries with.
    pub webhook_secret: Option<SecretText>,
    /// Where its marketplace is asked.
    pub base_url: Option<String>,
    /// A new name, for a store that is not known.
    pub new_id: StoreId,
    /// A new sync token, for a store that is not known.
    pub new_token: SecretText,
}

/// A registered store.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Its name with us.
    pub store: StoreId,
    /// Its sync token.
    pub sync_token: SecretText,
}

/// Registers a seller's account, or changes what is known of it.
///
/// # Errors
/// [`OrderError`] when the store or the sealer fails; the caller may register again.
pub async fn register_store<S, K, C>(
    store: &S,
    sealer: &K,
    clock: &C,
    asked: &RegisterStore,
) -> Result<Registered, OrderError>
where
    S: MarketplaceStores,
    K: Sealer,
    C: Clock,
{
    let registered = claimed(store, sealer, clock, asked).await?;
    write_settings(store, sealer, clock, asked, &registered.store).await?;
    let hash = sync_token_hash(registered.sync_token.expose());
    again(clock, || store.point_token(&hash, &registered.store)).await?;
    Ok(registered)
}

/// What a registration that was done came to, for its repetition: the names, and nothing is written. What was changed
/// since stays.
///
/// # Errors
/// [`OrderError`] when the store or the sealer fails; the caller may ask again.
pub async fn registered_before<S, K, C>(
    store: &S,
    sealer: &K,
    clock: &C,
    asked: &RegisterStore,
) -> Result<Registered, OrderError>
where
    S: MarketplaceStores,
    K: Sealer,
    C: Clock,
{
    claimed(store, sealer, clock, asked).await
}

/// The names of the triple: the new ones if it has none.
async fn claimed<S, K, C>(store: &S, sealer: &K, clock: &C, asked: &RegisterStore) -> Result<Registered, OrderError>
where
    S: MarketplaceStores,
    K: Sealer,
    C: Clock,
{
    let token_context = |id: &StoreId| context(&asked.organization, id, "sync-token");
    let claim = StoreClaim {
        organization: asked.organization.clone(),
        marketplace: asked.marketplace.clone(),
        external_id: asked.external_id.clone(),
        store: asked.new_id.clone(),
        sync_token: sealer.seal(&token_context(&asked.new_id), asked.new_token.expose()).await?,
    };
    let claim = again(clock, || store.claim_store(&claim)).await?;
    let sync_token = sealer.open(&token_context(&claim.store), &claim.sync_token).await?;
    Ok(Registered { store: claim.store, sync_token })
}

/// The store that a sync token leads to, if it belongs to this organization (`None`: to any).
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub async fn store_of_token<S: MarketplaceStores>(
    store: &S,
    token: &str,
    organization: Option<&OrganizationId>,
) -> Result<Option<StoredStore>, StoreError> {
    let Some(id) = store.find_token(&sync_token_hash(token)).await? else {
        return Ok(None);
    };
    let found = store.load_store(&id).await?;
    Ok(found.filter(|found| organization.is_none_or(|organization| found.store.organization == *organization)))
}

/// Repeats a write that recognizes itself, while its outcome is unknown.
async fn again<T, F, C>(clock: &C, call: impl Fn() -> F + Send + Sync) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>> + Send,
    T: Send,
    C: Clock,
{
    for attempt in 1..ATTEMPTS_MAX {
        match call().await {
            Err(error) if error.is_passing() => clock.back_off(attempt).await,
            done => return done,
        }
    }
    call().await
}

async fn write_settings<S, K, C>(
    store: &S,
    sealer: &K,
    clock: &C,
    asked: &RegisterStore,
    id: &StoreId,
) -> Result<(), OrderError>
where
    S: MarketplaceStores,
    K: Sealer,
    C: Clock,
{
    let mut last = None;
    let mut known = None;
    for attempt in 1..=ATTEMPTS_MAX {
        let current = match known.take() {
            Some(current) => Ok(Some(current)),
            None => store.load_store(id).await,
        };
        let written = match current {
            Ok(current) => {
                let (rev, before) = current.map(|StoredStore { rev, store }| (rev, store)).unzip();
                if let Some(before) = &before
                    && same(sealer, before, asked).await?
                {
                    return Ok(());
                }
                let next = merged(sealer, clock, asked, id, before).await?;
                store.save_store(rev, &next).await
            }
            Err(error) => Err(error),
        };
        match written {
            Ok(StoreWrite::Saved) => return Ok(()),
            Ok(StoreWrite::Conflict(current)) => known = current,
            Err(error) if error.is_passing() => last = Some(error),
            Err(error) => return Err(error.into()),
        }
        clock.back_off(attempt).await;
    }
    Err(last.unwrap_or_else(|| StoreError::exhausted(ATTEMPTS_MAX)).into())
}

async fn merged<K: Sealer, C: Clock>(
    sealer: &K,
    clock: &C,
    asked: &RegisterStore,
    id: &StoreId,
    before: Option<MarketplaceStore>,
) -> Result<MarketplaceStore, OrderError> {
    let bound = |purpose| context(&asked.organization, id, purpose);
    let usual_signal = || StockSignal::usual(&asked.marketplace);
    let usual_location = || LocationId::parse(LOCATION_DEFAULT).map_err(|error| StoreError::Refused(Box::new(error)));
    let access_token = sealer.seal(&bound("access-token"), asked.access_token.expose()).await?;
    let (webhook_secret, replaced_secret) = webhook_secrets(sealer, clock, asked, id, before.as_ref()).await?;
    let (created_at, sync, known) = match before {
        Some(MarketplaceStore { created_at, sync, settings, .. }) => (created_at, sync, Some(settings)),
        None => (clock.now(), StoreSync::default(), None),
    };
    let known = known.as_ref();
    let location = asked.default_location.clone().or_else(|| known.map(|known| known.default_location.clone()));
    let settings = StoreSettings {
        name: asked.name.clone(),
        currency: asked.currency.clone(),
        stock_signal: asked.stock_signal.or_else(|| known.map(|known| known.stock_signal)).unwrap_or_else(usual_signal),
        default_location: location.map_or_else(usual_location, Ok)?,
        base_url: asked.base_url.clone().or_else(|| known.and_then(|known| known.base_url.clone())),
        access_token,
        webhook_secret,
        replaced_secret,
    };
    let (organization, marketplace) = (asked.organization.clone(), asked.marketplace.clone());
    let external_id = asked.external_id.clone();
    Ok(MarketplaceStore { id: id.clone(), organization, marketplace, external_id, created_at, settings, sync })
}

/// The secret that the store's deliveries are signed with from now on, and the one that it replaces.
async fn webhook_secrets<K: Sealer, C: Clock>(
    sealer: &K,
    clock: &C,
    asked: &RegisterStore,
    id: &StoreId,
    before: Option<&MarketplaceStore>,
) -> Result<(Option<Sealed>, Option<ReplacedSecret>), OrderError> {
    let known = before.map(|store| &store.settings);
    let current = known.and_then(|known| known.webhook_secret.clone());
    let replaced = known.and_then(|known| known.replaced_secret.clone());
    let Some(asked_secret) = &asked.webhook_secret else {
        return Ok((current, replaced));
    };
    let context = context(&asked.organization, id, "webhook-secret");
    if let Some(current) = &current
        && same_secret(sealer, &context, current, asked_secret).await?
    {
        return Ok((Some(current.clone()), replaced));
    }
    let until = clock.now().plus_millis(REPLACED_MS);
    let replaced = current.map(|sealed| ReplacedSecret { sealed, until });
    Ok((Some(sealer.seal(&context, asked_secret.expose()).await?), replaced))
}

/// Whether everything that is asked for is so already. Sealing the same secret twice gives two texts, so it takes opening
/// to know.
async fn same<K: Sealer>(sealer: &K, store: &MarketplaceStore, asked: &RegisterStore) -> Result<bool, OrderError> {
    let known = &store.settings;
    let plain = known.name == asked.name
        && known.currency == asked.currency
        && asked.stock_signal.is_none_or(|signal| signal == known.stock_signal)
        && asked.default_location.as_ref().is_none_or(|location| *location == known.default_location)
        && (asked.base_url.is_none() || asked.base_url == known.base_url);
    if !plain || !same_secret(sealer, &store.access_token_context(), &known.access_token, &asked.access_token).await? {
        return Ok(false);
    }
    match (&asked.webhook_secret, &known.webhook_secret) {
        (None, _) => Ok(true),
        (Some(_), None) => Ok(false),
        (Some(asked), Some(known)) => same_secret(sealer, &store.webhook_secret_context(), known, asked).await,
    }
}

/// Compares by hashes, whose comparison tells nothing of the secrets by its time.
async fn same_secret<K: Sealer>(
    sealer: &K,
    context: &str,
    known: &Sealed,
    asked: &SecretText,
) -> Result<bool, OrderError> {
    let known = sealer.open(context, known).await?;
    Ok(Sha256::digest(known.expose()) == Sha256::digest(asked.expose()))
}
