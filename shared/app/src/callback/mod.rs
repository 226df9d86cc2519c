//! Callbacks: announcements on their way to the endpoints that organizations registered.

mod sender;

pub use sender::{Call, CallbackSender, InvalidTarget};
