//! The items of a store: itself, the claim of its triple, the token that leads to it.

use evenstock_app::{
    MarketplaceStore, ReplacedSecret, Sealed, StockSignal, StoreClaim, StoreError, StoreSettings, StoredStore,
};
use evenstock_domain::{
    LocationId, Marketplace, OrganizationId, StoreId, StoreLease, StoreSync, SyncCounters, SyncRun, SyncRunState,
    Timestamp, Watch,
};
use serde::{Deserialize, Serialize};

use crate::errors::corrupt;
use crate::keys::{self, Key};
use crate::level_item::item_name;
use crate::table::Attributes;

/// A store as it stands in the table and in its stream.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoreItem {
    pk: String,
    sk: String,
    /// Rev, the optimistic lock.
    rv: u64,
    /// Organization.
    og: String,
    /// Marketplace.
    mp: String,
    /// Its name there.
    xi: String,
    /// Created at, milliseconds.
    ca: i64,
    /// Name.
    nm: String,
    /// Currency.
    cu: String,
    /// Stock signal.
    sg: String,
    /// Default location.
    lo: String,
    /// Base URL.
    #[serde(rename = "bu", default, skip_serializing_if = "Option::is_none")]
    base_url: Option<String>,
    /// Access token, sealed.
    tk: String,
    /// Webhook secret, sealed.
    #[serde(rename = "ws", default, skip_serializing_if = "Option::is_none")]
    webhook_secret: Option<String>,
    /// The webhook secret before.
    #[serde(rename = "wb", default, skip_serializing_if = "Option::is_none")]
    replaced_secret: Option<ReplacedItem>,
    /// Whether the watch is idle.
    #[serde(rename = "wi", default, skip_serializing_if = "core::ops::Not::not")]
    idle: bool,
    /// Queued at, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    qa: Option<i64>,
    /// Lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    le: Option<LeaseItem>,
    /// Last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rn: Option<RunItem>,
    /// Group in the index of due items; only while somebody must look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<String>,
    /// Due at, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dt: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct ReplacedItem {
    /// Sealed.
    s: String,
    /// Until, milliseconds.
    u: i64,
}

#[derive(Serialize, Deserialize)]
struct LeaseItem {
    /// Owner.
    o: String,
    /// Until, milliseconds.
    u: i64,
}

#[derive(Serialize, Deserialize)]
struct RunItem {
    /// Name.
    i: String,
    /// State.
    s: String,
    /// Started at, milliseconds.
    a: i64,
    /// Ended at, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<i64>,
    /// Processed, success, failed, rate-limited.
    n: (u32, u32, u32, u32),
}

impl StoreItem {
    pub(crate) fn new(rev: u64, store: &MarketplaceStore) -> Self {
        let Key { pk, sk } = keys::store(&store.id);
        let MarketplaceStore { settings, sync, .. } = store;
        let run = |run: &SyncRun| {
            let SyncCounters { processed, success, failed, rate_limited } = run.counters;
            RunItem {
                i: run.id.clone(),
                s: run.state.as_str().to_owned(),
                a: run.started_at.as_millis(),
                e: run.ended_at.map(Timestamp::as_millis),
                n: (processed, success, failed, rate_limited),
            }
        };
        Self {
            pk,
            sk,
            rv: rev,
            og: store.organization.to_string(),
            mp: store.marketplace.to_string(),
            xi: store.external_id.to_string(),
            ca: store.created_at.as_millis(),
            nm: settings.name.clone(),
            cu: settings.currency.clone(),
            sg: settings.stock_signal.as_str().to_owned(),
            lo: settings.default_location.to_string(),
            base_url: settings.base_url.clone(),
            tk: settings.access_token.as_str().to_owned(),
            webhook_secret: settings.webhook_secret.as_ref().map(|sealed| sealed.as_str().to_owned()),
            replaced_secret: settings
                .replaced_secret
                .as_ref()
                .map(|replaced| ReplacedItem { s: replaced.sealed.as_str().to_owned(), u: replaced.until.as_millis() }),
            idle: sync.watch.is_some_and(|watch| watch.idle),
            qa: sync.queued_at.map(Timestamp::as_millis),
            le: sync.lease.as_ref().map(|lease| LeaseItem { o: lease.owner.clone(), u: lease.until.as_millis() }),
            rn: sync.run.as_ref().map(run),
            d: sync.watch.map(|_| keys::due_stores(StoreSync::due_bucket(&store.id))),
            dt: sync.watch.map(|watch| watch.due_at.as_millis()),
        }
    }

    /// The store, checked as far as an item can be.
    pub(crate) fn into_stored(self) -> Result<StoredStore, StoreError> {
        let name = format!("{} {}", self.pk, self.sk);
        let rev = self.rv;
        self.into_store().map(|store| StoredStore { rev, store }).map_err(|what| corrupt(name, what))
    }

    fn into_store(self) -> Result<MarketplaceStore, &'static str> {
        let time = |millis| Timestamp::from_millis(millis).map_err(|_| "a time");
        let run = |run: RunItem| -> Result<SyncRun, &'static str> {
            let (processed, success, failed, rate_limited) = run.n;
            Ok(SyncRun {
                id: run.i,
                started_at: time(run.a)?,
                ended_at: run.e.map(time).transpose()?,
                state: SyncRunState::parse(&run.s).ok_or("a run's state")?,
                counters: SyncCounters { processed, success, failed, rate_limited },
            })
        };
        let lease = |lease: LeaseItem| -> Result<StoreLease, &'static str> {
            Ok(StoreLease { owner: lease.o, until: time(lease.u)? })
        };
        let due_at = self.dt.map(time).transpose()?;
        let replaced = |replaced: ReplacedItem| -> Result<ReplacedSecret, &'static str> {
            Ok(ReplacedSecret { sealed: Sealed::from_stored(replaced.s), until: time(replaced.u)? })
        };
        Ok(MarketplaceStore {
            id: keys::parse_store(&self.pk, &self.sk).ok_or("not a store's key")?,
            organization: OrganizationId::parse(&self.og).map_err(|_| "an organization's name")?,
            marketplace: Marketplace::parse(&self.mp).map_err(|_| "a marketplace's name")?,
            external_id: StoreId::parse(&self.xi).map_err(|_| "an external name")?,
            created_at: time(self.ca)?,
            settings: StoreSettings {
                name: self.nm,
                currency: self.cu,
                stock_signal: StockSignal::parse(&self.sg).ok_or("a stock signal")?,
                default_location: LocationId::parse(&self.lo).map_err(|_| "a location")?,
                base_url: self.base_url,
                access_token: Sealed::from_stored(self.tk),
                webhook_secret: self.webhook_secret.map(Sealed::from_stored),
                replaced_secret: self.replaced_secret.map(replaced).transpose()?,
            },
            sync: StoreSync {
                watch: due_at.map(|due_at| Watch { due_at, idle: self.idle }),
                queued_at: self.qa.map(time).transpose()?,
                lease: self.le.map(lease).transpose()?,
                run: self.rn.map(run).transpose()?,
            },
        })
    }
}

pub(crate) fn read(attributes: Attributes) -> Result<StoredStore, StoreError> {
    let name = item_name(&attributes);
    let item: StoreItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name, error))?;
    item.into_stored()
}

/// The claim of a triple.
#[derive(Serialize, Deserialize)]
pub(crate) struct ClaimItem {
    pk: String,
    sk: String,
    /// Store.
    id: String,
    /// Sync token, sealed.
    tk: String,
}

impl ClaimItem {
    pub(crate) fn new(claim: &StoreClaim) -> Self {
        let Key { pk, sk } = keys::store_claim(&claim.organization, &claim.marketplace, &claim.external_id);
        Self { pk, sk, id: claim.store.to_string(), tk: claim.sync_token.as_str().to_owned() }
    }
}

/// The claim that stands in place of `asked`.
pub(crate) fn read_claim(attributes: Attributes, asked: &StoreClaim) -> Result<StoreClaim, StoreError> {
    let name = item_name(&attributes);
    let item: ClaimItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    let store = StoreId::parse(&item.id).map_err(|error| corrupt(name, error))?;
    Ok(StoreClaim { store, sync_token: Sealed::from_stored(item.tk), ..asked.clone() })
}

/// A sync token that leads to its store.
#[derive(Serialize, Deserialize)]
pub(crate) struct TokenItem {
    pk: String,
    sk: String,
    /// Store.
    id: String,
}

impl TokenItem {
    pub(crate) fn new(hash: &[u8; 32], store: &StoreId) -> Self {
        let Key { pk, sk } = keys::sync_token(hash);
        Self { pk, sk, id: store.to_string() }
    }
}

pub(crate) fn read_token(attributes: Attributes) -> Result<StoreId, StoreError> {
    let name = item_name(&attributes);
    let item: TokenItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    StoreId::parse(&item.id).map_err(|error| corrupt(name, error))
}
