//! Requests as the audit log names them.
//!
//! A handler writes down what it is about to do before it does it (`evenstock_app::AdminRequest::write_down`). When that
//! fails it answers 503 and has done nothing, and the same request may be sent again.

use evenstock_app::AdminRequest;
use evenstock_domain::Timestamp;

use super::{BoundRequest, Caller};
use crate::new_id;

impl Caller {
    /// What this caller asks for: one deed, however often it is repeated under its idempotency key.
    pub fn asks(&self, operation: &BoundRequest) -> AdminRequest<'_> {
        AdminRequest { by: &self.key, id: operation.id(), at: operation.time }
    }

    /// What this caller asks for without a key: each repetition is a deed of its own.
    pub fn asks_once(&self, at: Timestamp) -> AdminRequest<'_> {
        AdminRequest { by: &self.key, id: new_id(), at }
    }
}
