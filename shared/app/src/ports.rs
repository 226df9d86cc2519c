//! What the use cases need from the outside world, named by capability. A use case asks for the ones it uses.

use core::future::Future;

use evenstock_domain::{
    BlindRequest, Breaker, LevelKey, LocationId, OrganizationId, Page, Quantity, Sku, Source, StockLevel, Timestamp,
};
use evenstock_telemetry::{TraceContext, current};

use crate::{ApiKey, Circuit, FeedError, QueueError, StoreError};

/// Time, as the one thing of the outside world that cannot be a plain argument.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;

    /// Waits a short, jittered time before try number `attempt` + 1.
    fn back_off(&self, attempt: u32) -> impl Future<Output = ()> + Send;
}

/// A level as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Counts every write: the optimistic lock.
    pub rev: u64,
    /// The level.
    pub level: StockLevel,
}

/// What became of a conditional write of a whole level.
#[expect(clippy::large_enum_variant, reason = "it lives for one match; a box would only move the level about")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Commit {
    /// It is durable.
    Committed,
    /// Another writer was faster. Carries what stands there now.
    Conflict(Option<Stored>),
}

/// What became of a blind append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is durable. Carries the level after it.
    Applied(Stored),
    /// A condition failed. Carries the level as it stands, `None` when there is none.
    Refused(Option<Stored>),
}

/// Where a listing goes on: behind this level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPosition {
    /// The product of the last level listed.
    pub sku: Sku,
    /// Its location.
    pub location: LocationId,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListPage {
    /// Levels in a stable order.
    pub levels: Vec<(LevelKey, StockLevel)>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<ListPosition>,
}

/// Stock levels and their journals. Every read that a decision rests on sees every completed write.
pub trait StockStore: Send + Sync {
    /// Reads a level. `None` when it does not exist.
    fn load(&self, key: &LevelKey) -> impl Future<Output = Result<Option<Stored>, StoreError>> + Send;

    /// Writes a whole level if its `rev` is still `expected` (`None`: if it does not exist).
    fn commit(
        &self,
        key: &LevelKey,
        expected: Option<u64>,
        level: &StockLevel,
    ) -> impl Future<Output = Result<Commit, StoreError>> + Send;

    /// Appends one request to a level without reading it, if it fits.
    fn append(
        &self,
        key: &LevelKey,
        request: &BlindRequest,
    ) -> impl Future<Output = Result<Appended, StoreError>> + Send;

    /// Stores a journal page of committed entries; does nothing when it is there.
    fn put_page(&self, key: &LevelKey, page: &Page) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Drops the page of `seen` that was stored from its level, if its oldest entry is still the level's oldest.
    /// `false` when somebody else dropped it.
    fn drop_page(&self, key: &LevelKey, seen: &StockLevel) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Reads the pages begun at or after `start`, and the one before.
    fn pages_since(
        &self,
        key: &LevelKey,
        start: Timestamp,
    ) -> impl Future<Output = Result<Vec<Page>, StoreError>> + Send;

    /// Reads pages that begin with a version up to `version`, among those begun by `until`: at most `limit`, the ones
    /// begun last first.
    fn pages_before(
        &self,
        key: &LevelKey,
        version: u64,
        until: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Page>, StoreError>> + Send;

    /// Reads one SKU at all its locations.
    fn levels_of(
        &self,
        organization: &OrganizationId,
        sku: &Sku,
    ) -> impl Future<Output = Result<Vec<(LocationId, StockLevel)>, StoreError>> + Send;

    /// Lists an organization's levels, at most `limit` behind `after`. A level created a moment ago may be missing.
    fn list(
        &self,
        organization: &OrganizationId,
        after: Option<&ListPosition>,
        limit: u32,
    ) -> impl Future<Output = Result<ListPage, StoreError>> + Send;
}

/// Binds an idempotency key to one request, so that its repetition is recognized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRecord {
    /// Whose key it is.
    pub organization: OrganizationId,
    /// The key that the client chose.
    pub key: String,
    /// Hash of what the client asked for.
    pub request_hash: [u8; 32],
    /// When the key was first seen: the operation's time for ever.
    pub time: Timestamp,
    /// When the key may be used anew.
    pub expires_at: Timestamp,
    /// The answer, for operations whose answer no journal holds; `None` until it was given.
    pub answer: Option<String>,
}

/// What became of the claim of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationClaim {
    /// The key is ours.
    New,
    /// The key was claimed before.
    Existing(OperationRecord),
}

/// Idempotency records.
pub trait IdempotencyStore: Send + Sync {
    /// Puts the record if its key is unused, or expired by `record.time`.
    fn claim(&self, record: &OperationRecord) -> impl Future<Output = Result<OperationClaim, StoreError>> + Send;

    /// Keeps the answer of the operation that claimed `key` at `time`, unless it has one. Gives the answer that is kept
    /// now; `None` when the key is no longer this operation's.
    fn keep_answer(
        &self,
        organization: &OrganizationId,
        key: &str,
        time: Timestamp,
        answer: &str,
    ) -> impl Future<Output = Result<Option<String>, StoreError>> + Send;
}

/// A poll that may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollRun {
    /// Number of this run: later runs have greater ones.
    pub number: u64,
    /// Where to read on; `None` at the first run.
    pub cursor: Option<Timestamp>,
}

/// The state of the polls, one item a source.
pub trait PollStore: Send + Sync {
    /// Takes the next run number for `job` if the poll is due at `now`, and makes it due again at `next_due`. With
    /// `forced` it need not be due, but a wait that the other side asked for is kept. `None` when it may not run. A job
    /// that begins again, because it did not learn that it had begun, may.
    fn begin_run(
        &self,
        source: &Source,
        job: &str,
        now: Timestamp,
        next_due: Timestamp,
        forced: bool,
    ) -> impl Future<Output = Result<Option<PollRun>, StoreError>> + Send;

    /// Keeps scheduled polls from starting before `due`.
    fn finish_run(&self, source: &Source, due: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Moves the cursor forward; never back.
    fn advance(&self, source: &Source, cursor: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps every poll of this source from starting before `until`.
    fn defer(&self, source: &Source, until: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The shared circuit breakers, one item each.
pub trait BreakerStore: Send + Sync {
    /// Reads a breaker with its `rev`; a fresh one with `None` when it was never written.
    fn load_breaker(&self, name: &Source) -> impl Future<Output = Result<(Option<u64>, Breaker), StoreError>> + Send;

    /// Writes a breaker if its `rev` is still `expected`. `false` when another writer was faster.
    /// With the same write it enters or leaves what [`crate::BreakerWatch`] lists.
    fn save_breaker(
        &self,
        circuit: &Circuit,
        expected: Option<u64>,
        breaker: &Breaker,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// API keys.
pub trait KeyStore: Send + Sync {
    /// Finds a key by the SHA-256 of its text; `None` when there is none, or it was withdrawn.
    fn find_key(&self, hash: &[u8; 32]) -> impl Future<Output = Result<Option<ApiKey>, StoreError>> + Send;

    /// Notes that a key was used at `now`, unless its last use is noted within the hour before, or it is not there.
    fn note_use(&self, hash: &[u8; 32], now: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Whether the store answers.
pub trait StoreProbe: Send + Sync {
    /// Makes the cheapest read.
    fn ping(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Our queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueName {
    /// Stock events on their way to their levels.
    StockChanges,
    /// Polls that somebody asked for.
    PollJobs,
    /// Stores with receipts that are due.
    StoreSync,
    /// Deliveries to endpoints that organizations registered.
    Callbacks,
    /// Records of the table's stream that cannot be read.
    StreamDlq,
    /// Changes that warehouses report without Kafka.
    WarehouseEvents,
    /// Changes of warehouses that cannot be applied as they stand.
    WarehouseEventsDlq,
    /// Warehouses whose whole stock is to be compared with ours.
    WarehouseSync,
    /// Levels whose changes another system is to be told.
    StockPushes,
    /// Levels that it cannot be told of as things stand.
    StockPushesDlq,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The message, JSON.
    pub body: String,
    /// The tenant, so that a busy one cannot starve the others.
    pub organization: OrganizationId,
    /// How long nobody may receive it, in seconds: at most [`Outgoing::DELAY_SECONDS_MAX`].
    pub delay_seconds: u16,
    /// Where in a trace it was made, which its receiver goes on with.
    pub trace: Option<TraceContext>,
}

impl Outgoing {
    /// The longest delay that the queues know: a quarter of an hour.
    pub const DELAY_SECONDS_MAX: u16 = 900;

    /// A message that may be received at once.
    pub fn now(body: String, organization: OrganizationId) -> Self {
        Self { body, organization, delay_seconds: 0, trace: current() }
    }
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueDepth {
    /// Waiting to be received.
    pub waiting: u64,
    /// Received and not yet settled.
    pub in_flight: u64,
    /// In the dead-letter queue.
    pub dead: u64,
}

/// Sends messages and tells how many are there.
pub trait Queue: Send + Sync {
    /// Sends messages durably. On an error some of them may have been sent.
    fn send(&self, queue: QueueName, messages: Vec<Outgoing>) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Counts a queue's messages, approximately.
    fn depth(&self, queue: QueueName) -> impl Future<Output = Result<QueueDepth, QueueError>> + Send;
}

/// A row of a marketplace's list of changed stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRow {
    /// The product.
    pub sku: Sku,
    /// The place.
    pub location: LocationId,
    /// What can be sold.
    pub quantity: Quantity,
    /// When the marketplace last changed it.
    pub last_modified: Timestamp,
}

/// A row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRowIssue {
    /// The product, as far as it could be read.
    pub sku: Option<String>,
    /// When the marketplace changed it, as far as it could be read.
    pub last_modified: Option<Timestamp>,
    /// The field that is wrong, and why.
    pub issue: String,
}

/// A page of a marketplace's list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedPage {
    /// The rows, in the marketplace's order.
    pub rows: Vec<Result<FeedRow, FeedRowIssue>>,
}

/// A marketplace that is asked for what changed.
pub trait StockFeed: Send + Sync {
    /// Reads at most `limit` rows changed at or after `since`, oldest first.
    fn changed_since(&self, since: Timestamp, limit: u32) -> impl Future<Output = Result<FeedPage, FeedError>> + Send;
}
