//! What every function shares with the outside world: configuration, logs, time, the HTTP shell and the batch glue.
//!
//! **Invariant:** this is the only shared crate that reads the clock, the environment or a random source. It knows no
//! marketplace and decides nothing about stock.

mod batch;
mod clock;
mod environment;
pub mod http;
mod marketplaces;
pub mod metrics;
mod orders;
mod sealing;
mod telemetry;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use batch::{Batch, MissingMessageId, RECEIVES_MAX, keep_reasons, take_reason};
pub use clock::{SystemClock, id_of, new_id};
pub use environment::{ConfigError, Environment};
pub use sealing::random_bytes;
pub use telemetry::{LogFormat, init_logs, init_telemetry, is_exporting, send_telemetry, start_telemetry};
