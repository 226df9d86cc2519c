//! The rules of stock, and nothing else.
//!
//! This crate owns the stock level, its journal and the pure [`decide`] function; the circuit breaker's state machine;
//! and the value types that the rest of the system speaks in.
//!
//! **Invariant:** nothing here reads a clock, an environment variable or a random source, and nothing here performs
//! I/O. Time, ids and keys come in as values, so every behaviour can be replayed from its inputs.

mod blind;
mod breaker;
mod callback;
mod central;
mod change;
mod codec;
mod contradiction;
mod decide;
mod event;
mod feed;
mod ids;
mod job;
mod journal;
mod level;
mod line;
mod observe;
mod past;
mod quantity;
mod receipt;
mod reservation;
mod store_sync;
mod sync_status;
mod time;

pub use blind::BlindRequest;
pub use breaker::{Admission, Breaker, BreakerConfig, ProbeToken};
pub use callback::{
    Attempt, BODY_BYTES_MAX, Delivery, DeliveryId, DeliveryState, Disabled, DisabledReason, ENDPOINTS_MAX, Endpoint,
    EndpointHealth, EventType, Forbidden, Guard, InvalidDeliveryId, InvalidSchedule, KEPT_MS, OVERLAP_MS, Registered,
    Registry, Replaced, RetiredSecret, RetrySchedule, Round, Secrets, Subscription, Tried,
};
pub use central::{
    CentralCopy, CentralDispute, CentralPush, ChangeOrigin, DisputeReason, Holding, PendingChange, difference,
};
pub use change::{CHANGE_BYTES_MAX, Change, changes_since, decode_change, encode_change};
pub use codec::{CorruptEntry, decode_entry, encode_entry};
pub use contradiction::{ConflictPolicy, Contradiction, contradiction};
pub use decide::{Decision, Outcome, Rejection, decide};
pub use event::{EventBody, EventId, EventIdKey, Means, StockEvent};
pub use feed::{
    CEILING_STEP, ChangePage, FEED_CLOCK_MARGIN_MS, FEED_PAGE_BYTES_MAX, FEED_PAGE_CHANGES_MAX, FEED_PAGE_GRACE_MS,
    FeedEvent, FeedLimits, FeedMarker, FeedTail, FeedWrite, Offset, events_behind, next_write, place_offset,
};
pub use ids::{
    EndpointId, InvalidId, JobId, LevelKey, LocationId, Marketplace, OrderId, OrganizationId, ReceiptId, ReservationId,
    Sku, Source, StoreId,
};
pub use job::{DRIFT_MAX, Drift, JOB_ERRORS_MAX, Job, JobCounters, JobKind, JobPart, JobReport, JobStatus};
pub use journal::{ActorCode, ChangeType, Entry, EntryKind, Page};
pub use level::{Placed, Policy, Shadow, StockLevel, Watermark};
pub use line::{InvalidLines, LINES_MAX, Line, sum_lines};
pub use past::{PageSearch, Past};
pub use quantity::{Delta, OutOfRange, Quantity};
pub use receipt::{
    CallResult, Claimed, Completed, OrderStock, Receipt, ReceiptClaim, ReceiptError, ReceiptOrder, ReceiptOutcome,
    ReceiptState, RetryPolicy,
};
pub use reservation::{DUE_BUCKETS, Reservation, ReservationState, TTL_SECONDS_MAX, Transition};
pub use store_sync::{RunEnd, Seen, StoreLease, StoreSync, SyncCounters, SyncRun, SyncRunState, Watch};
pub use sync_status::{SYNC_STATUS_RECEIPTS, SyncStatus};
pub use time::{InvalidTime, Timestamp};

/// Entries that a full journal page holds; pages are exactly versions `16k + 1 ..= 16k + 16`.
pub const PAGE_ENTRIES: usize = 16;

/// Entries that a level keeps in its own item, at most.
pub const RECENT_ENTRIES_MAX: usize = 20;

/// How far before a source's time a page search starts, in milliseconds.
///
/// An entry is committed at the earliest two minutes before its own time (a source's clock may lead ours), minus the
/// difference between two of our clocks, minus the longest function timeout. Ten minutes covers the three.
pub const SEARCH_MARGIN_MS: i64 = 10 * 60 * 1000;

/// The same for events that carry our own clock's time, which only differs between two of our processes and by the
/// tries of one write: a hot level would else read thousands of pages for each late request.
pub const OWN_CLOCK_MARGIN_MS: i64 = 15 * 1000;

/// How far ahead of our clock a source's time may be, in milliseconds, before a delta is refused.
pub const SOURCE_LEAD_MAX_MS: i64 = 2 * 60 * 1000;

/// The age in milliseconds beyond which a delta is refused, because the journal pages that would recognize its
/// repetition are only promised for so long.
pub const DELTA_AGE_MAX_MS: i64 = 15 * 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests;
