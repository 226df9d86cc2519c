//! The marketplaces: one module each, with its signature, its payloads and, where we do the asking, its client.
//!
//! A marketplace that pushes implements [`InboundChannel`] and stands in the registry behind [`inbound()`]; one that
//! we poll implements `evenstock_app::StockFeed`; all that say whether a receipt is an order are asked by one client,
//! [`OrderClient`]. A further marketplace is a further module, and one line in the
//! registry if it pushes; nothing else changes.
//!
//! **Invariant:** a marketplace's words end here. What leaves this crate speaks of SKUs, locations and quantities, and
//! every field of a payload has been checked. Nothing here reads a clock, an environment variable or a random source,
//! and only the clients perform I/O.

mod callbacks;
mod central;
mod debezium;
mod fields;
mod http;
mod inbound;
mod marketplace_a;
mod marketplace_b;
mod order_notice;
mod orders;
mod registry;
mod secret;
mod warehouse;

pub use callbacks::{
    HttpCallbacks, InvalidCallback, InvalidSigningKey, Lookup, ReceivedHeaders, SenderError, SigningKey, SystemLookup,
    TOLERANCE_SECONDS, Target, callbacks_sender,
};
pub use central::{CentralClientError, HttpCentral};
pub use debezium::{Envelope, adapt as adapt_warehouse_change};
pub use http::{ClientError, InvalidBaseUrl};
pub use inbound::{Delivery, FieldIssue, InboundChannel, InvalidPayload, InvalidSignature};
pub use marketplace_a::MarketplaceA;
pub use marketplace_b::MarketplaceB;
pub use order_notice::OrderNotice;
pub use orders::OrderClient;
pub use registry::inbound;
pub use secret::{ApiSecret, InvalidSecret, Secret};
pub use warehouse::{HttpWarehouses, WarehouseClientError};
