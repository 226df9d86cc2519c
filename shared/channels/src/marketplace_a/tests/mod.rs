//! What marketplace A's deliveries may and may not look like.

mod body;
mod payload;
mod properties;
mod signature;

use evenstock_app::StockChange;
use evenstock_domain::{LocationId, OrganizationId, StoreId, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{Delivery, InboundChannel, InvalidSignature, MarketplaceA, Secret};

/// A delivery as the marketplace writes it.
pub(super) const BODY: &str =
    r#"{"product_code":"SKU-1","available_stock":7,"timestamp":"2026-11-20T08:00:00Z","warehouse":"main"}"#;

/// The hexadecimal signature that the marketplace makes.
pub(super) fn signed(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    hex::encode(mac.finalize().into_bytes())
}

pub(super) fn verify(body: &[u8], signature: &str, secrets: &[&str]) -> Result<(), InvalidSignature> {
    let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new(*secret).unwrap()).collect();
    MarketplaceA.verify(body, Some(signature.as_bytes()), &secrets)
}

/// Adapts a body that store `shop` received at 08:00 on 20 November 2026; issues as `(field, issue)`.
pub(super) fn adapt(body: impl AsRef<[u8]>) -> Result<Vec<StockChange>, Vec<(String, String)>> {
    adapt_for("shop", body)
}

pub(super) fn adapt_for(store: &str, body: impl AsRef<[u8]>) -> Result<Vec<StockChange>, Vec<(String, String)>> {
    let delivery = Delivery {
        body: body.as_ref(),
        organization: &OrganizationId::parse("demo").unwrap(),
        store: &StoreId::parse(store).unwrap(),
        default_location: &LocationId::parse("default").unwrap(),
        job_id: "job-1",
        received_at: Timestamp::parse("2026-11-20T08:00:00Z").unwrap(),
    };
    let adapted = MarketplaceA.adapt(&delivery);
    adapted.map_err(|invalid| invalid.issues.into_iter().map(|issue| (issue.field, issue.issue)).collect())
}

/// A body with one field replaced, or added, by a piece of JSON.
pub(super) fn with(field: &str, value: &str) -> String {
    let fields = [
        ("product_code", r#""SKU-1""#),
        ("available_stock", "7"),
        ("timestamp", r#""2026-11-20T08:00:00Z""#),
        ("warehouse", r#""main""#),
    ];
    let mut fields: Vec<_> = fields.into_iter().filter(|(name, _)| *name != field).collect();
    fields.push((field, value));
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
    format!("{{{}}}", fields.join(","))
}

pub(super) fn issue(field: &str, issue: &str) -> (String, String) {
    (field.to_owned(), issue.to_owned())
}

/// The only change that a good body makes.
pub(super) fn one(body: impl AsRef<[u8]>) -> StockChange {
    let mut changes = adapt(body).unwrap();
    assert_eq!(changes.len(), 1);
    changes.remove(0)
}
