//! A warehouse's own API: its whole stock, page by page.

mod client;
mod payload;

pub use client::{HttpWarehouses, WarehouseClientError};

#[cfg(test)]
mod tests;
