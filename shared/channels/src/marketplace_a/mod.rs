//! Marketplace A pushes the available stock of one product at a time, signed. It is an authority on what it states.

mod payload;
pub(crate) mod signature;
#[cfg(test)]
mod tests;

use evenstock_app::StockChange;

use crate::{Delivery, InboundChannel, InvalidPayload, InvalidSignature, Secret};

const KIND: &str = "marketplace-a";

/// The marketplace that pushes single counts.
#[derive(Debug, Clone, Copy)]
pub struct MarketplaceA;

impl InboundChannel for MarketplaceA {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn signature_header(&self) -> &'static str {
        "x-marketplace-signature"
    }

    fn verify(&self, body: &[u8], signature: Option<&[u8]>, secrets: &[Secret]) -> Result<(), InvalidSignature> {
        signature::verify(body, signature, secrets)
    }

    fn adapt(&self, delivery: &Delivery<'_>) -> Result<Vec<StockChange>, InvalidPayload> {
        payload::adapt(delivery).map(|change| vec![change])
    }
}
