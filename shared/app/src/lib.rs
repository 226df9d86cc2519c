//! What Evenstock does: use cases as plain async functions over outbound ports.
//!
//! **Invariant:** nothing here knows HTTP, Lambda, DynamoDB, SQS or a marketplace's payload. Time, randomness and
//! configuration come in through [`Clock`] and as values.

mod access;
mod announcement;
mod apply;
mod audit;
mod breaker;
mod bulk;
mod bus;
mod callback;
mod central;
mod counters;
mod create;
mod due;
mod error;
mod feed;
mod history;
mod jobs;
mod key_admin;
mod message;
mod operation;
mod order_marketplace;
mod orders;
mod partitions;
mod policy;
mod poll;
mod poll_status;
mod ports;
mod request;
mod reservation_store;
mod reserve;
mod seal;
mod settle_reservation;
mod spill;
mod sweep;
mod switch;
mod trigger;
mod update;
mod warehouses;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use access::{ApiKey, Scope};
pub use announcement::Announcement;
pub use apply::{GroupResult, apply_group};
pub use audit::{AdminAction, AuditEntry, AuditLog, AuditPage, AuditPosition};
pub use breaker::{BreakerWatch, Circuit, FailingBreakers, admit, report_failure, report_success};
pub use bulk::{BulkCounters, BulkMode, BulkOutcome, BulkProduct, BulkRequest, BulkSync, BulkSyncStore, bulk_sync};
pub use bus::{Bus, BusError, BusEvents, BusOutlet, UnknownBusEvent, put_on_bus};
pub use callback::{
    Arrival, Arrivals, Call, CallbackJob, CallbackSender, CallbackStore, DeliverDeps, DeliverReport, DeliveryPage,
    DueDelivery, EndpointChange, FanOutError, FrozenEvent, InvalidJob, InvalidTarget, Listed, Registration,
    ReplayError, ReplayProgress, Replayed, RequeueReport, StoredDelivery, Subscriptions, announce_change,
    announce_reservation, change_endpoint, deliver, disable_endpoint, fan_out, register_endpoint, remove_endpoint,
    replay, replay_since, requeue, reset_health, secret_context, send_test, try_again,
};
pub use central::{
    CENTRAL_SOURCE, CentralAnswer, CentralCopies, CentralError, CentralStock, CentralUpdate, InvalidPushJob,
    LEVELS_MAX, LevelName, PropagateDeps, PropagatePlan, PropagateReport, PushFate, PushJob, central_conflict,
    propagate, push_jobs,
};
pub use counters::{CounterStore, Counts};
pub use create::{Create, CreateResult, create};
pub use error::{FeedError, QueueError, StoreError, with_causes};
pub use evenstock_domain::EventType;
pub use feed::{
    Behind, Candidate, FeedDeps, FeedEventBody, FeedStore, LevelScan, RecentPages, RepairLimits, RepairPass,
    RepairReport, RepairStore, ScanPage, changes_behind, head_of_feed, publish, repair, snapshot_offset,
};
pub use history::{HistoryItem, HistoryPage, HistoryPosition, history};
pub use jobs::{
    JobPage, JobStore, JobWrite, StartedJob, StoredJob, advance_job, begin_job, finish_job, finish_part, start_job,
};
pub use key_admin::{
    AdminRequest, KEY_RANDOM_BYTES, KeyAdminStore, KeyPage, KeyRecord, NewKey, Revocation, create_key, key_id,
    key_text, revoke_key,
};
pub use message::{ChangeBody, InvalidMessage, PollJob, StockChange};
pub use operation::{Operation, bind, keep_answer};
pub use order_marketplace::{
    Amount, InvalidAmount, MarketplaceAccount, MarketplaceError, OrderMarketplace, ValidatedLine, ValidatedOrder,
    Validation,
};
pub use orders::{
    Consequences, DueReceipt, DueReceipts, DueStore, DueStores, EnqueueReport, Imported, MarketplaceStore,
    MarketplaceStores, OrderDeps, OrderError, OrderPolicy, OversoldSale, ReceiptPage, ReceiptStore, ReceiptWrite,
    RegisterStore, Registered, ReplacedSecret, StockSignal, StoreClaim, StoreJob, StoreSettings, StoreSynced,
    StoreWrite, StoredReceipt, StoredStore, SyncLimits, SyncOutcome, SyncReport, cancel_order, enqueue_due_stores,
    enqueue_due_stores_of, import_order, mark_short_orders, note_receipt, order_row, oversold_sales,
    receipt_consequences, register_store, registered_before, store_announcements, store_of_token, sync_report,
    sync_store, sync_token_hash,
};
pub use partitions::{PartitionRead, PartitionStore};
pub use policy::{PolicyChange, set_policy};
pub use poll::{MARKETPLACE_B, PollError, PollOutcome, PollPlan, PollReport, PollTrigger, Poller, poll};
pub use poll_status::{PollStatus, PollStatusStore};
pub use ports::{
    Appended, BreakerStore, Clock, Commit, FeedPage, FeedRow, FeedRowIssue, IdempotencyStore, KeyStore, ListPage,
    ListPosition, OperationClaim, OperationRecord, Outgoing, PollRun, PollStore, Queue, QueueDepth, QueueName,
    StockFeed, StockStore, StoreProbe, Stored,
};
pub use request::{Answer, Settled, request};
pub use reservation_store::{DuePage, DueReservation, ReservationStore, ReservationWrite, StoredReservation};
pub use reserve::{RefusedLine, Reserve, ReserveResult, reserve};
pub use seal::{SealError, Sealed, Sealer, SecretText};
pub use settle_reservation::{
    ReservationDeps, Settle, SettleResult, Settlement, Wanted, complete, settle, settle_reservation,
};
pub use sweep::{SweepLimits, SweepReport, sweep};
pub use switch::{SwitchStore, SyncSwitch, Turn};
pub use trigger::{TriggerDeps, TriggerError, trigger_all, trigger_one};
pub use update::{Update, UpdateDeps, UpdateResult, update, update_as};
pub use warehouses::{
    CentralSide, Conflict, ConflictChoice, ConflictPage, ConflictResolution, ConflictStore, CountDeps, CountOutcome,
    CountsApplied, KeyChange, ReconcilePlan, Resolve, ResolveResult, SliceEnd, WAREHOUSE_SOURCE, Warehouse,
    WarehouseCount, WarehouseFeed, WarehousePage, WarehouseRow, WarehouseSettings, WarehouseStockPage, WarehouseStore,
    WarehouseSyncJob, apply_counts, follow_conflict, reconcile, resolve_conflict, warehouse_source,
};
