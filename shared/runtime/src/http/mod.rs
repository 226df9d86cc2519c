//! The shell around every HTTP function: request ids, keys, limits, errors of one shape.

mod access;
mod body;
mod cursor;
mod error;
mod rate;
mod shell;

pub use access::{AccessControl, Caller, require};
pub use body::{Complete, Fields, JsonBody, read_path};
pub use cursor::{CursorKey, InvalidCursor};
pub use error::{ApiError, CurrentLevel, ErrorBody, FieldIssue};
pub use rate::RateLimits;
pub use shell::{RequestId, shell};
