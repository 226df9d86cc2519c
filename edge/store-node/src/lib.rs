//! A shop's node: answers reads from its own copy of the stock, hands writes on to the centre, and keeps them while the
//! centre is away. The copy follows the centre's change feed.
//!
//! **Invariant:** the centre alone decides about stock. The node never changes a quantity on its own: its cache only
//! holds what the centre said, and a queued write has no effect until the centre applied it.
//!
//! It speaks to the centre over HTTP only and knows nothing of how the centre keeps its data.

mod api;
mod cache;
mod cadence;
mod centre;
mod cli;
mod clock;
mod database;
mod folder;
mod follow;
mod intent;
mod intents;
mod level;
mod node;
mod rebuild;
mod replay;
mod serve;
mod settings;
mod status;
mod telemetry;
mod wire;

pub use cli::run;
