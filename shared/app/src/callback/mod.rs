//! Callbacks: announcements on their way to the endpoints that organizations registered.
//!
//! The stream passes an announcement on as one message an endpoint (`fan_out`), the worker calls (`deliver`, `call`),
//! the scheduler brings back what waits longer than a message can (`requeue`).

mod announce;
mod call;
mod deliver;
mod fan_out;
mod job;
mod registry;
mod replay;
mod requeue;
mod sender;
mod store;

pub use announce::{announce_change, announce_reservation};
pub use deliver::{DeliverDeps, DeliverReport, deliver};
pub use fan_out::{FanOutError, Subscriptions, fan_out, send_test};
pub use job::{CallbackJob, FrozenEvent, InvalidJob};
pub use registry::{
    EndpointChange, Registration, change_endpoint, disable_endpoint, register_endpoint, remove_endpoint, reset_health,
    secret_context, try_again,
};
pub use replay::{ReplayError, ReplayProgress, Replayed, replay, replay_since};
pub use requeue::{RequeueReport, requeue};
pub use sender::{Call, CallbackSender, InvalidTarget};
pub use store::{Arrival, Arrivals, CallbackStore, DeliveryPage, DueDelivery, Listed, StoredDelivery};
