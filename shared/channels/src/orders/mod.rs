//! Asks a marketplace over HTTP whether a receipt is an order, and what that order holds.

mod client;
mod payload;
#[cfg(test)]
mod tests;

pub use client::OrderClient;
