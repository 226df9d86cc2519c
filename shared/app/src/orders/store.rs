//! A marketplace store: a seller's account, with how it is synchronized.
//!
//! Must not know how it is stored. Its secrets are sealed here too; whoever needs one opens it and lets go of it.

use evenstock_domain::{LocationId, Marketplace, OrganizationId, StoreId, StoreSync, Timestamp};
use sha2::{Digest, Sha256};

use crate::{MarketplaceAccount, SealError, Sealed, Sealer, SecretText};

/// The marketplaces that push or list how many units are left, and no orders.
const STATE_STOCK: [&str; 2] = ["marketplace-a", "marketplace-b"];

/// What the store tells us of its stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StockSignal {
    /// Its numbers are the truth about its levels; orders are in them already.
    Authority,
    /// It sells too and states what is left; orders are in that already.
    Merged,
    /// Its orders are what moves stock.
    #[default]
    Orders,
}

impl StockSignal {
    /// What a store tells that does not say: those whose marketplace states what is left mean it.
    pub fn usual(marketplace: &Marketplace) -> Self {
        if STATE_STOCK.contains(&marketplace.as_str()) { Self::Authority } else { Self::Orders }
    }

    /// Its name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Merged => "merged",
            Self::Orders => "orders",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Authority, Self::Merged, Self::Orders].into_iter().find(|signal| signal.as_str() == text)
    }
}

/// What a seller says of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// Its name, for people.
    pub name: String,
    /// Its currency: three capital letters.
    pub currency: String,
    /// What it tells us of its stock.
    pub stock_signal: StockSignal,
    /// Where the units of an order's line are taken from when the line does not say.
    pub default_location: LocationId,
    /// Where its marketplace is asked; `None` for the one that the deployment names.
    pub base_url: Option<String>,
    /// What proves to the marketplace that we ask for the seller.
    pub access_token: Sealed,
    /// What it signs its deliveries with.
    pub webhook_secret: Option<Sealed>,
    /// What it signed them with before.
    pub replaced_secret: Option<ReplacedSecret>,
}

/// A webhook secret that another one replaced. Deliveries that were signed before it did are still on their way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedSecret {
    /// The secret.
    pub sealed: Sealed,
    /// From then on it proves nothing any more.
    pub until: Timestamp,
}

/// A seller's account at a marketplace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketplaceStore {
    /// Its name with us.
    pub id: StoreId,
    /// The tenant.
    pub organization: OrganizationId,
    /// The kind of marketplace.
    pub marketplace: Marketplace,
    /// Its name at the marketplace.
    pub external_id: StoreId,
    /// When it was registered first.
    pub created_at: Timestamp,
    /// What the seller says of it.
    pub settings: StoreSettings,
    /// Its synchronization.
    pub sync: StoreSync,
}

impl MarketplaceStore {
    /// The source of its events, and the name of its breaker.
    pub fn source(&self) -> String {
        format!("{}/{}", self.marketplace, self.id)
    }

    /// What its access token is bound to.
    pub fn access_token_context(&self) -> String {
        context(&self.organization, &self.id, "access-token")
    }

    /// What its webhook secret is bound to.
    pub fn webhook_secret_context(&self) -> String {
        context(&self.organization, &self.id, "webhook-secret")
    }

    /// The secrets that its deliveries may be signed with, and until when those that were replaced are good; none for a
    /// store that signs none.
    ///
    /// # Errors
    /// [`SealError`] when one cannot be opened.
    pub async fn webhook_secrets<K: Sealer>(
        &self,
        sealer: &K,
    ) -> Result<Vec<(SecretText, Option<Timestamp>)>, SealError> {
        let Some(current) = &self.settings.webhook_secret else {
            return Ok(Vec::new());
        };
        let context = self.webhook_secret_context();
        let mut secrets = vec![(sealer.open(&context, current).await?, None)];
        if let Some(ReplacedSecret { sealed, until }) = &self.settings.replaced_secret {
            secrets.push((sealer.open(&context, sealed).await?, Some(*until)));
        }
        Ok(secrets)
    }

    /// The account, as the marketplace is asked with.
    ///
    /// # Errors
    /// [`SealError`] when the access token cannot be opened.
    pub async fn account<K: Sealer>(&self, sealer: &K) -> Result<MarketplaceAccount, SealError> {
        Ok(MarketplaceAccount {
            marketplace: self.marketplace.to_string(),
            base_url: self.settings.base_url.clone(),
            access_token: sealer.open(&self.access_token_context(), &self.settings.access_token).await?,
            currency: self.settings.currency.clone(),
        })
    }
}

/// What a secret of a store is bound to.
pub(crate) fn context(organization: &OrganizationId, store: &StoreId, purpose: &str) -> String {
    format!("store/{organization}/{store}/{purpose}")
}

/// What stands in the table for a sync token.
pub fn sync_token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
