//! The warehouse and its port.

use core::future::Future;

use evenstock_domain::{ConflictPolicy, LocationId, OrganizationId, Timestamp};

use crate::{Sealed, StoreError};

/// A warehouse whose stock we follow. Its id is the location of its levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warehouse {
    /// Its name, which one organization has claimed.
    pub id: LocationId,
    /// That organization.
    pub organization: OrganizationId,
    /// The base URL of its own API.
    pub endpoint: String,
    /// The key for that API, sealed under [`Warehouse::key_context`].
    pub api_key: Option<Sealed>,
    /// Who is right when it and we disagree.
    pub policy: ConflictPolicy,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// When it was last set up.
    pub updated_at: Timestamp,
}

impl Warehouse {
    /// To what its sealed key is bound.
    pub fn key_context(organization: &OrganizationId, id: &LocationId) -> String {
        format!("warehouse/{organization}/{id}/api-key")
    }
}

/// What becomes of a warehouse's key when it is set up again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// It stays.
    Keep,
    /// It is this one from now on.
    Set(Sealed),
    /// There is none any more.
    Remove,
}

/// How a warehouse is to be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarehouseSettings {
    /// Its name.
    pub id: LocationId,
    /// Who sets it up.
    pub organization: OrganizationId,
    /// The base URL of its own API.
    pub endpoint: String,
    /// Its key.
    pub api_key: KeyChange,
    /// Who is right when it and we disagree.
    pub policy: ConflictPolicy,
    /// When.
    pub at: Timestamp,
}

/// A page of an organization's warehouses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WarehousePage {
    /// In the order in which they were claimed.
    pub warehouses: Vec<Warehouse>,
    /// Whether there may be more behind the last of them.
    pub more: bool,
}

/// Warehouses, one item each.
pub trait WarehouseStore: Send + Sync {
    /// Reads a warehouse as the last completed write left it, whoever's it is. `None` when nobody claimed it.
    fn load_warehouse(&self, id: &LocationId) -> impl Future<Output = Result<Option<Warehouse>, StoreError>> + Send;

    /// Claims a warehouse for its first organization, or sets it up again for the same one. `None` when it belongs to
    /// another.
    fn set_up_warehouse(
        &self,
        settings: &WarehouseSettings,
    ) -> impl Future<Output = Result<Option<Warehouse>, StoreError>> + Send;

    /// Lists an organization's warehouses, at most `limit` behind `after`. One claimed a moment ago may be missing.
    fn warehouses_of(
        &self,
        organization: &OrganizationId,
        after: Option<(Timestamp, &LocationId)>,
        limit: u32,
    ) -> impl Future<Output = Result<WarehousePage, StoreError>> + Send;
}
