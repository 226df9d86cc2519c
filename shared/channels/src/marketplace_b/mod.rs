//! Marketplace B is asked for what changed since a time, and answers with rows. It is an authority on what it states.

mod client;
mod payload;
#[cfg(test)]
mod tests;

pub use client::MarketplaceB;
