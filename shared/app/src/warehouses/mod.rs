//! Warehouses: whose they are, what their changes do to levels, and what happens when they and we disagree.
//!
//! Must not know how a change came here, nor how a warehouse is asked.

mod apply_counts;
mod conflict;
mod count;
mod reconcile;
mod resolve;
mod warehouse;

pub use apply_counts::{CountDeps, CountOutcome, CountsApplied, apply_counts};
pub use conflict::{CentralSide, Conflict, ConflictChoice, ConflictPage, ConflictResolution, ConflictStore};
pub use count::{WAREHOUSE_SOURCE, WarehouseCount, warehouse_source};
pub use reconcile::{
    ReconcilePlan, SliceEnd, WarehouseFeed, WarehouseRow, WarehouseStockPage, WarehouseSyncJob, reconcile,
};
pub use resolve::{Resolve, ResolveResult, follow_conflict, resolve_conflict};
pub use warehouse::{KeyChange, Warehouse, WarehousePage, WarehouseSettings, WarehouseStore};
