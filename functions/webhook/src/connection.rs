//! A store that delivers here: who it is, what it signs with, and what its counts are worth.

use evenstock_app::{ChangeBody, MarketplaceStore, SealError, Sealer, StockSignal};
use evenstock_channels::{InvalidSecret, Secret};
use evenstock_domain::{LocationId, OrganizationId, StoreId, Timestamp};

/// A store that delivers here.
#[derive(Debug, Clone)]
pub struct Connection {
    pub(crate) channel: String,
    /// The seller's account.
    pub store: StoreId,
    /// Whose stock it is.
    pub organization: OrganizationId,
    pub(crate) default_location: LocationId,
    pub(crate) stock_signal: StockSignal,
    /// What it may sign with, and until when what was replaced is good.
    pub(crate) secrets: Vec<(Secret, Option<Timestamp>)>,
}

/// Why a registered store's secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableSecret {
    #[error(transparent)]
    Sealed(#[from] SealError),
    #[error("a stored secret is none: {0}")]
    Invalid(#[from] InvalidSecret),
}

impl Connection {
    /// Opens what a registered store signs with. `None` when it signs nothing.
    pub(crate) async fn of<K: Sealer>(store: &MarketplaceStore, sealer: &K) -> Result<Option<Self>, UnusableSecret> {
        let opened = store.webhook_secrets(sealer).await?;
        if opened.is_empty() {
            return Ok(None);
        }
        let secret = |(text, until): (evenstock_app::SecretText, _)| Ok((Secret::new(text.expose())?, until));
        let secrets = opened.into_iter().map(secret).collect::<Result<_, InvalidSecret>>()?;
        Ok(Some(Self {
            channel: store.marketplace.to_string(),
            store: store.id.clone(),
            organization: store.organization.clone(),
            default_location: store.settings.default_location.clone(),
            stock_signal: store.settings.stock_signal,
            secrets,
        }))
    }

    pub(crate) fn is(&self, channel: &str, store: &str) -> bool {
        self.channel == channel && self.store.as_str() == store
    }

    /// The secrets that prove a delivery now.
    pub(crate) fn secrets_at(&self, now: Timestamp) -> Vec<Secret> {
        let good = self.secrets.iter().filter(|(_, until)| until.is_none_or(|until| now < until));
        good.map(|(secret, _)| secret.clone()).collect()
    }

    /// What a count of the store is worth. `None` for a store whose orders move its stock: what it counts is a number to
    /// compare with, and setting it would count its orders twice.
    pub(crate) const fn worth(&self, count: ChangeBody) -> Option<ChangeBody> {
        match (self.stock_signal, count) {
            (StockSignal::Authority, count) => Some(count),
            (
                StockSignal::Merged,
                ChangeBody::CountAvailable { quantity, sequence } | ChangeBody::CountOnHand { quantity, sequence },
            ) => Some(ChangeBody::Merged { quantity, sequence }),
            (StockSignal::Merged, other) => Some(other),
            (StockSignal::Orders, _) => None,
        }
    }
}
