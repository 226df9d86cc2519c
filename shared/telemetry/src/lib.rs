//! Which request a piece of work belongs to, and how that is told to others: trace context as W3C has it, spans and
//! metrics as OpenTelemetry's protocol (OTLP) has them.
//!
//! **Invariant:** telemetry never decides anything. No work fails, waits or comes out otherwise because of it. It knows
//! nothing of stock, and reads neither the environment nor the network: settings and the way to the collector are given.

mod ambient;
mod context;
mod origins;

#[cfg(feature = "export")]
mod export;
#[cfg(feature = "export")]
mod layer;
#[cfg(feature = "export")]
mod otlp;
#[cfg(feature = "export")]
mod settings;

pub use ambient::{current, within};
pub use context::TraceContext;
pub use origins::Origins;

#[cfg(feature = "export")]
pub use export::{Answer, Exporter, Post, Transport};
#[cfg(feature = "export")]
pub use layer::SpanLayer;
#[cfg(feature = "export")]
pub use otlp::{Measured, Metric};
#[cfg(feature = "export")]
pub use settings::{InvalidSetting, OtlpSettings};
