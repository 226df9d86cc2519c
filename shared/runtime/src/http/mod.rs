//! The shell around every HTTP function: request ids, keys, limits, errors of one shape.

mod access;
mod audit;
mod body;
mod cursor;
mod describe;
mod error;
mod gateway;
mod idempotency;
mod measure;
mod rate;
mod serve;
mod shed;
mod shell;

pub use access::{AccessControl, Caller, require};
pub use body::{Complete, Fields, JsonBody, read_path};
pub use cursor::{CursorKey, InvalidCursor};
pub use describe::{Endpoint, describe};
pub use error::{ApiError, CurrentLevel, ErrorBody, FieldIssue};
pub use gateway::restore_path;
pub use idempotency::{BoundRequest, answered, header_key, key_reused, read_key, request_hash};
pub use rate::RateLimits;
pub use serve::serve;
pub use shed::shed;
pub use shell::{RequestId, shell};
