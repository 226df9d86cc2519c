//! The port of callbacks: registries, deliveries, their log, and how endpoints have been doing.

use core::future::Future;

use evenstock_domain::{
    Attempt, Delivery, DeliveryId, DeliveryState, EndpointHealth, EndpointId, EventType, OrganizationId, Registry,
    StoreId, Timestamp,
};

use crate::StoreError;

/// A delivery as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDelivery {
    /// Counts every write: the optimistic lock.
    pub rev: u64,
    /// The delivery.
    pub delivery: Delivery,
}

/// A delivery that arrived at the first try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its name.
    pub id: DeliveryId,
    /// The event's name.
    pub event_id: String,
    /// The event's kind.
    pub event: EventType,
    /// The marketplace store that the event is about.
    pub store: Option<StoreId>,
    /// What was sent, byte for byte; `None` when it was too long to be kept.
    pub body: Option<String>,
    /// The try.
    pub attempt: Attempt,
}

impl Arrival {
    /// The delivery as if it had been stored; `None` when its body was not kept.
    pub fn into_delivery(self, organization: OrganizationId) -> Option<Delivery> {
        let updated_at = self.attempt.at;
        Some(Delivery {
            state: DeliveryState::Succeeded,
            attempts: vec![self.attempt],
            tries: 1,
            next_attempt_at: None,
            due_at: None,
            updated_at,
            ..Delivery::new(organization, self.id, self.event_id, self.event, self.store, self.body?)
        })
    }
}

/// What arrived at one endpoint in one go, as one entry of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrivals {
    /// The tenant.
    pub organization: OrganizationId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// When it was written down.
    pub at: Timestamp,
    /// What arrived; at least one.
    pub arrived: Vec<Arrival>,
}

/// An entry in the list of an endpoint's deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// One that was not done with its first try.
    Delivery(Box<Delivery>),
    /// Some that were.
    Arrivals(Vec<Arrival>),
}

/// A page of that list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryPage {
    /// Entries. First those that needed more than one try, the newest first; then the others, the latest first.
    pub entries: Vec<Listed>,
    /// Where the next page begins, in the store's own words; `None` at the end.
    pub next: Option<String>,
}

/// A delivery that somebody must look after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    /// The tenant.
    pub organization: OrganizationId,
    /// Its name.
    pub id: DeliveryId,
    /// Since when.
    pub due_at: Timestamp,
}

/// Endpoints and deliveries. Every read that a decision rests on sees every completed write.
pub trait CallbackStore: Send + Sync {
    /// Reads an organization's endpoints with their `rev`: an empty registry with `None` when there never was one.
    fn load_registry(
        &self,
        organization: &OrganizationId,
    ) -> impl Future<Output = Result<(Option<u64>, Registry), StoreError>> + Send;

    /// Writes a registry if its `rev` is still `expected`. `false` when another writer was faster.
    fn save_registry(
        &self,
        expected: Option<u64>,
        registry: &Registry,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Reads how an endpoint has been doing: well, with `None`, when nothing was ever written.
    fn load_health(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
    ) -> impl Future<Output = Result<(Option<u64>, EndpointHealth), StoreError>> + Send;

    /// Writes it if its `rev` is still `expected`. `false` when another writer was faster.
    fn save_health(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
        expected: Option<u64>,
        health: &EndpointHealth,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Reads a delivery. `None` when there is none: it never began, arrived at once, or is forgotten.
    fn load_delivery(
        &self,
        organization: &OrganizationId,
        id: &DeliveryId,
    ) -> impl Future<Output = Result<Option<StoredDelivery>, StoreError>> + Send;

    /// Writes a delivery if its `rev` is still `expected` (`None`: if it is not there). `false` when another writer was
    /// faster.
    fn save_delivery(
        &self,
        expected: Option<u64>,
        delivery: &Delivery,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Writes down what arrived. The same again changes nothing.
    fn log_arrivals(&self, arrivals: &Arrivals) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Finds a delivery that arrived at once, among what was written down from its event's time on. `None` when it is not
    /// there, or so much arrived before it that looking further costs too much.
    fn find_arrival(
        &self,
        organization: &OrganizationId,
        id: &DeliveryId,
    ) -> impl Future<Output = Result<Option<Arrival>, StoreError>> + Send;

    /// Lists an endpoint's deliveries, at most `limit` entries from `after` on.
    fn list_deliveries(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
        after: Option<&str>,
        limit: u32,
    ) -> impl Future<Output = Result<DeliveryPage, StoreError>> + Send;

    /// Reads stored deliveries of events from `since` on, or behind `after`, oldest first: at most `limit`, and whether
    /// there may be more.
    fn deliveries_since(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
        since: Timestamp,
        after: Option<&DeliveryId>,
        limit: u32,
    ) -> impl Future<Output = Result<(Vec<StoredDelivery>, bool), StoreError>> + Send;

    /// Lists deliveries of a group that were due at `now`, longest due first, at most `limit`. What was written a moment
    /// ago may be missing, or still be listed.
    fn due_deliveries(
        &self,
        bucket: u8,
        now: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<DueDelivery>, StoreError>> + Send;

    /// Makes a pending delivery due at `until`, if it is still due when the list said. `false` when it is not.
    fn postpone(&self, due: &DueDelivery, until: Timestamp) -> impl Future<Output = Result<bool, StoreError>> + Send;
}
