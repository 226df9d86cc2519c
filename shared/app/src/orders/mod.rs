//! Marketplace stores and their orders: registration, import, cancellation, synchronization, and what follows from them.

mod cancel;
mod consequences;
mod enqueue;
mod import;
mod job;
mod oversold;
mod port;
mod register;
mod row;
mod status;
mod store;
mod sync;
mod watch;

pub use cancel::{cancel_order, note_receipt};
pub use consequences::{Consequences, receipt_consequences, store_announcements};
pub use enqueue::{EnqueueReport, enqueue_due_stores, enqueue_due_stores_of};
pub use import::{Imported, OrderDeps, OrderError, OrderPolicy, import_order};
pub use job::StoreJob;
pub use oversold::{OversoldSale, mark_short_orders, oversold_sales};
pub use port::{
    DueReceipt, DueReceipts, DueStore, DueStores, MarketplaceStores, ReceiptPage, ReceiptStore, ReceiptWrite,
    StoreClaim, StoreWrite, StoredReceipt, StoredStore,
};
pub use register::{RegisterStore, Registered, register_store, registered_before, store_of_token};
pub use row::order_row;
pub use status::{SyncReport, sync_report};
pub use store::{MarketplaceStore, ReplacedSecret, StockSignal, StoreSettings, sync_token_hash};
pub use sync::{StoreSynced, SyncLimits, SyncOutcome, sync_store};
