//! A store that is to be worked on: the body of a message on `store-sync`.

use evenstock_domain::{OrganizationId, StoreId};
use serde::{Deserialize, Serialize};

use crate::{InvalidMessage, Outgoing, QueueError};

/// A store that is to be worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreJob {
    /// The store.
    pub store_id: String,
}

impl StoreJob {
    /// Reads a message's body.
    ///
    /// # Errors
    /// [`InvalidMessage`] when it is not JSON of this shape, or names no store.
    pub fn store_of(body: &str) -> Result<StoreId, InvalidMessage> {
        let job: Self = serde_json::from_str(body)?;
        StoreId::parse(&job.store_id)
            .map_err(|error| InvalidMessage::Field { field: "storeId", issue: error.to_string() })
    }

    /// The message that asks for work on a store.
    ///
    /// # Errors
    /// None that this type can cause; `serde_json` has no infallible form.
    pub fn message(store: &StoreId, organization: &OrganizationId) -> Result<Outgoing, QueueError> {
        let body = serde_json::to_string(&Self { store_id: store.to_string() });
        let body = body.map_err(|error| QueueError(Box::new(error)))?;
        Ok(Outgoing::now(body, organization.clone()))
    }
}
