//! Warehouses whose database reports its changes through Debezium: one JSON envelope a change.
//!
//! Pure: bytes in, counts out. Must not know Kafka, queues or who owns a warehouse.

mod envelope;
mod number;

pub use envelope::{Envelope, adapt};

#[cfg(test)]
mod tests;
