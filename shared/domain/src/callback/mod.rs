//! Callbacks: who wants to be told what, whom we may call, and what becomes of each delivery.
//!
//! Pure: time and jitter come in as values, secrets are sealed texts. Must not know how a delivery is sent or stored.

mod address;
mod delivery;
mod delivery_id;
mod endpoint;
mod event_type;
mod health;
mod registry;
mod schedule;

pub use address::{Forbidden, Guard};
pub use delivery::{Attempt, BODY_BYTES_MAX, Delivery, DeliveryState, KEPT_MS, Tried};
pub use delivery_id::{DeliveryId, InvalidDeliveryId};
pub use endpoint::{Disabled, DisabledReason, Endpoint, OVERLAP_MS, RetiredSecret, Secrets, Subscription};
pub use event_type::EventType;
pub use health::{EndpointHealth, Round};
pub use registry::{ENDPOINTS_MAX, Registered, Registry, Replaced};
pub use schedule::{InvalidSchedule, RetrySchedule};
