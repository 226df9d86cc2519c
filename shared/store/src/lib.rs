//! The ports of storage, queues and the bus, on DynamoDB, SQS and EventBridge.
//!
//! This crate owns the table's layout (`keys`, the `*_item` modules) and the translation of AWS errors. Item types are
//! apart from the domain's: an item that cannot be turned into a domain value is corrupt, never absent.
//!
//! **Invariant:** every write carries a condition, every read that a decision rests on is consistent, and no decision
//! is made here.

mod api_keys;
mod arrival_bodies;
mod audit_log;
mod aws;
mod breakers;
mod bulk_syncs;
mod callback_item;
mod callbacks;
mod central_copies;
mod change_feed;
mod change_page_item;
mod conflicts;
mod counters;
mod due;
mod endpoint_item;
mod errors;
mod event_bridge;
mod job_item;
mod jobs;
mod keys;
mod level_item;
mod levels;
mod listing;
mod marketplace_stores;
mod operations;
mod order_stream;
mod pages;
mod partitions;
mod polls;
mod receipt_item;
mod receipts;
mod repair;
mod reservation_item;
mod reservations;
mod revision;
mod seal;
mod sqs;
mod store_item;
mod switches;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
mod warehouse_item;
mod warehouses;
mod written_in;

pub use aws::{AwsSettings, dynamodb_client, event_bridge_client, kms_client, sqs_client};
pub use event_bridge::EventBridge;
pub use level_item::{LevelChanges, LevelItem, level_change};
pub use order_stream::{oversold_change, receipt_change, store_change};
pub use reservation_item::reservation_change;
pub use seal::{InvalidKeyId, InvalidKeyring, KeyId, Keyring, KeyringSealer, KmsSealer, NONCE_BYTES, Nonces};
pub use sqs::{QueueUrls, SqsQueues};
pub use table::DynamoStore;
pub use warehouse_item::conflict_change;
pub use written_in::trace_of;
