//! What every marketplace that pushes must do: prove a delivery by its raw bytes, then put it into our words.
//!
//! Must not know any marketplace, nor how a delivery came here.

use core::fmt;

use evenstock_app::StockChange;
use evenstock_domain::{InvalidId, LocationId, OrganizationId, Source, StoreId, Timestamp};
use sha2::{Digest, Sha256};

use crate::{OrderNotice, Secret};

/// A marketplace that pushes.
pub trait InboundChannel: Send + Sync {
    /// The marketplace's name in paths, sources and configuration: `marketplace-a`.
    fn kind(&self) -> &'static str;

    /// The header that carries the signature, lower case.
    fn signature_header(&self) -> &'static str;

    /// Proves that whoever made the signature knows one of the active secrets. To be called on the bytes as they came,
    /// before anything reads them.
    ///
    /// # Errors
    /// [`InvalidSignature`] when the signature is missing, malformed or made with another secret, and always when
    /// there is no secret.
    fn verify(&self, body: &[u8], signature: Option<&[u8]>, secrets: &[Secret]) -> Result<(), InvalidSignature>;

    /// Reads a verified delivery.
    ///
    /// # Errors
    /// [`InvalidPayload`] naming every field that is wrong.
    fn adapt(&self, delivery: &Delivery<'_>) -> Result<Vec<StockChange>, InvalidPayload>;

    /// Reads what a verified delivery tells of orders; nothing unless the marketplace tells of them.
    ///
    /// # Errors
    /// [`InvalidPayload`] naming every field that is wrong.
    fn notices(&self, _delivery: &Delivery<'_>) -> Result<Vec<OrderNotice>, InvalidPayload> {
        Ok(Vec::new())
    }
}

/// A delivery whose signature was verified. Has no `Debug`, so that no body slips into a log.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// The body's raw bytes.
    pub body: &'a [u8],
    /// The tenant.
    pub organization: &'a OrganizationId,
    /// The seller's account that it came for.
    pub store: &'a StoreId,
    /// Where stock is that the delivery names no place for.
    pub default_location: &'a LocationId,
    /// Names this delivery in logs.
    pub job_id: &'a str,
    /// When it came in, by our clock.
    pub received_at: Timestamp,
}

impl Delivery<'_> {
    /// Who says so: the marketplace and the store.
    ///
    /// # Errors
    /// [`InvalidId`] when the two names are too long together.
    pub fn source(&self, kind: &str) -> Result<Source, InvalidId> {
        Source::parse(&format!("{kind}/{}", self.store))
    }

    /// Names the event by the content that brought it, so that a body delivered twice is one event. For marketplaces
    /// that give their deliveries no id.
    pub fn event_id(&self, kind: &str) -> String {
        // The separator cannot be part of a store's name, so no two deliveries hash the same bytes.
        let digest =
            Sha256::new().chain_update(self.store.as_str()).chain_update([0]).chain_update(self.body).finalize();
        format!("{kind}/{}/{}", self.store, hex::encode(digest))
    }
}

/// A signature that does not prove its body. Says no more, because the answer goes to whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is missing or does not belong to the body")]
pub struct InvalidSignature;

/// A field that holds what it must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldIssue {
    /// The field's name in the marketplace's own payload; `body` for the whole.
    pub field: String,
    /// What is wrong with it, without its value: `must not be negative`.
    pub issue: String,
}

impl fmt::Display for FieldIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.issue)
    }
}

/// A payload that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the payload has {} wrong field(s)", issues.len())]
pub struct InvalidPayload {
    /// Everything that is wrong with it; never empty.
    pub issues: Vec<FieldIssue>,
}
