//! A central inventory system over HTTP: what we push to, in the shape of our own interface.

mod client;
mod payload;

pub use client::{CentralClientError, HttpCentral};

#[cfg(test)]
mod tests;
