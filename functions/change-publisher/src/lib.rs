//! Follows the table's stream: puts the changes of levels into their organization's feed, then does for each record what
//! it asks for, completes what a reservation's change of state began, and announces it to endpoints and the bus.
//!
//! A batch is read whole, published by organization, then followed record by record in order. The last part is done
//! also for changes that stood in the feed before, because a crash may have come in between: each step in `steps` must
//! be harmless when repeated. What cannot be read goes to the dead letters; only what may pass later fails the batch.

mod central;
mod config;
mod happening;
mod poison;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use evenstock_app::{
    Announcement, Bus, BusError, BusOutlet, CallbackStore, Candidate, Clock, FanOutError, FeedDeps, FeedStore,
    LevelScan, MarketplaceStores, Queue, QueueError, ReceiptStore, RecentPages, RepairLimits, RepairReport,
    RepairStore, StockStore, StoreError, Subscriptions, fan_out, mark_short_orders, publish, put_on_bus, repair,
    store_announcements, with_causes,
};
use evenstock_domain::{EventIdKey, FeedEvent, FeedLimits, LevelKey, OrganizationId};
use evenstock_telemetry::{Origins, TraceContext, within};
use futures::StreamExt;
use happening::Happening;
use serde_json::{Value, json};
use tracing::field::Empty;
use tracing::{error, info, info_span, warn};

pub use config::{bus_outlet, central_organization};

/// How long one tick of the schedule begins new work, in milliseconds: the last group still ends in time.
const REPAIR_WORK_MS: i64 = 30_000;

/// Feeds that are written at once.
const FEEDS_AT_ONCE: usize = 8;

/// What the function needs.
#[derive(Debug)]
pub struct Publisher<S, Q, C, B> {
    /// Levels and feeds.
    pub store: S,
    /// Where dead letters go.
    pub queue: Q,
    /// Time.
    pub clock: C,
    /// Names events.
    pub ids: EventIdKey,
    /// Sizes and times of the feeds.
    pub limits: FeedLimits,
    /// What this process knows of the feeds.
    pub recent: RecentPages,
    /// What this process knows of who wants to be told.
    pub subscriptions: Subscriptions,
    /// The bus, if anything goes there.
    pub bus: Option<BusOutlet<B>>,
    /// The organization whose changes a central system is told; `None` without such a system.
    pub central: Option<OrganizationId>,
}

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The event is neither a schedule's nor a stream's.
    #[error("the event is neither from a schedule nor from a stream")]
    UnknownEvent(#[source] Option<serde_json::Error>),
    /// The repair could not go on.
    #[error("the repair of the feeds could not go on")]
    Repair(#[from] StoreError),
}

/// Why announcements were not passed on.
#[derive(Debug, thiserror::Error)]
enum PassOnError {
    /// Not to the bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Not as callbacks.
    #[error(transparent)]
    Callbacks(#[from] FanOutError),
    /// Not to the central system's queue.
    #[error(transparent)]
    Pushes(#[from] QueueError),
}

/// What a batch is announced as, and where in traces that belongs.
#[derive(Debug, Default)]
struct Announced {
    announcements: Vec<Announcement>,
    origins: Vec<Option<TraceContext>>,
}

/// How far a batch was followed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Followed {
    /// Records that were followed.
    pub records: u64,
    /// Changes of levels that they tell of.
    pub changes: u64,
    /// Records that went to the dead letters.
    pub buried: u64,
    /// The sequence number of the first record that could not be followed. The stream goes on from it.
    pub failed: Option<String>,
}

impl<S, Q, C, B> Publisher<S, Q, C, B> {
    const fn feed(&self) -> FeedDeps<'_, S, C> {
        FeedDeps { store: &self.store, clock: &self.clock, limits: &self.limits, recent: &self.recent }
    }
}

/// Handles a batch of the stream or a tick of the schedule.
///
/// # Errors
/// [`HandleError`]. A record that cannot be followed is none: the answer names it.
pub async fn handle<S, Q, C, B>(publisher: &Publisher<S, Q, C, B>, event: Value) -> Result<Value, HandleError>
where
    S: StockStore + FeedStore + LevelScan + RepairStore + MarketplaceStores + ReceiptStore + CallbackStore,
    Q: Queue,
    C: Clock,
    B: Bus,
{
    if event.get("source").and_then(Value::as_str) == Some("aws.events") {
        return Ok(repair_feeds(publisher).await?);
    }
    let event = serde_json::from_value(event).map_err(|error| HandleError::UnknownEvent(Some(error)))?;
    let response = handle_records(publisher, event).await;
    serde_json::to_value(response).map_err(|error| HandleError::UnknownEvent(Some(error)))
}

/// Goes on with the nightly repair of the feeds.
///
/// # Errors
/// [`StoreError`] when the store fails. The next tick goes on from the last checkpoint.
pub async fn repair_feeds<S, Q, C, B>(publisher: &Publisher<S, Q, C, B>) -> Result<Value, StoreError>
where
    S: StockStore + FeedStore + LevelScan + RepairStore,
    Q: Queue,
    C: Clock,
{
    let limits = RepairLimits { until: publisher.clock.now().plus_millis(REPAIR_WORK_MS) };
    let report = repair(publisher.feed(), limits).await?;
    let RepairReport { levels, offered, unreadable, finished } = report;
    if levels > 0 || unreadable > 0 {
        info!(levels, offered, unreadable, finished, "feeds were compared");
    }
    Ok(json!({ "levels": levels, "offered": offered, "unreadable": unreadable, "finished": finished }))
}

/// Handles a batch of stream records; the answer names the first one that failed, from which on the stream goes on.
pub async fn handle_records<S, Q, C, B>(publisher: &Publisher<S, Q, C, B>, event: Event) -> DynamoDbEventResponse
where
    S: StockStore + FeedStore + MarketplaceStores + ReceiptStore + CallbackStore,
    Q: Queue,
    C: Clock,
    B: Bus,
{
    let Followed { records, changes, buried, failed } = follow(publisher, event).await;
    info!(records, changes, buried, "stream batch followed");
    let mut response = DynamoDbEventResponse::default();
    if failed.is_some() {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = failed;
        response.batch_item_failures.push(failure);
    }
    response
}

/// Follows a batch up to the first record that fails, and passes on what those before it are announced as. Announcements
/// that cannot be passed on bring the whole batch back.
pub async fn follow<S, Q, C, B>(publisher: &Publisher<S, Q, C, B>, event: Event) -> Followed
where
    S: StockStore + FeedStore + MarketplaceStores + ReceiptStore + CallbackStore,
    Q: Queue,
    C: Clock,
    B: Bus,
{
    let read: Vec<_> = event.records.iter().map(happening::read).collect();
    let origins: Origins =
        event.records.iter().zip(&read).map(|(record, read)| happening::origin(record, read)).collect();
    let records = event.records.len();
    let open = || info_span!("PublishChanges", otel.kind = "consumer", otel.links = Empty, trace_id = Empty, records);
    // Boxed: the type of so many nested futures is more than the compiler wants to look through.
    origins.trace(open, Box::pin(follow_read(publisher, &event, read, &origins))).await
}

async fn follow_read<S, Q, C, B>(
    publisher: &Publisher<S, Q, C, B>,
    event: &Event,
    read: Vec<Result<Happening, StoreError>>,
    origins: &Origins,
) -> Followed
where
    S: StockStore + FeedStore + MarketplaceStores + ReceiptStore + CallbackStore,
    Q: Queue,
    C: Clock,
    B: Bus,
{
    // Whatever becomes of a record: its level has changed, and its journal tells how.
    let levels = |happening| central::levels(publisher.central.as_ref(), happening);
    let pushes: BTreeSet<_> = read.iter().flatten().flat_map(levels).collect();
    let mut announced = Announced::default();
    let followed = follow_records(publisher, event, read, origins, &mut announced).await;
    match pass_on(publisher, &announced, &pushes).await {
        Ok(()) => followed,
        Err(error) => {
            error!(error = with_causes(&error), "announcements cannot be passed on");
            Followed { failed: event.records.first().map(number_of), ..Followed::default() }
        }
    }
}

/// The bus comes first: while it is down the batch comes again and again, and so would callbacks that went before it.
async fn pass_on<S, Q, C, B>(
    publisher: &Publisher<S, Q, C, B>,
    announced: &Announced,
    pushes: &BTreeSet<LevelKey>,
) -> Result<(), PassOnError>
where
    S: CallbackStore,
    Q: Queue,
    C: Clock,
    B: Bus,
{
    let Publisher { store, queue, clock, subscriptions, bus, .. } = publisher;
    if let Some(outlet) = bus {
        put_on_bus(outlet, &announced.announcements).await?;
    }
    let Announced { announcements, origins } = announced;
    fan_out(store, queue, subscriptions, clock.now(), announcements, origins).await?;
    Ok(central::send(queue, pushes).await?)
}

async fn follow_records<S, Q, C, B>(
    publisher: &Publisher<S, Q, C, B>,
    event: &Event,
    read: Vec<Result<Happening, StoreError>>,
    origins: &Origins,
    announced: &mut Announced,
) -> Followed
where
    S: StockStore + FeedStore + MarketplaceStores + ReceiptStore,
    Q: Queue,
    C: Clock,
{
    let mut feeds = publish_all(publisher, read.iter().flatten()).await;
    let mut followed = Followed::default();
    for (place, (record, happening)) in event.records.iter().zip(read).enumerate() {
        let origin = origins.of(place);
        let gained = match happening {
            Ok(happening) => {
                let follow = follow_one(publisher, &mut feeds, happening, &mut announced.announcements);
                within(origin.clone(), follow).await
            }
            Err(error) => Err(error),
        };
        announced.origins.resize(announced.announcements.len(), origin);
        match gained {
            Ok(gained) => followed.changes += gained,
            Err(error)
                if let StoreError::Corrupt { .. } = error
                    && bury(publisher, record, &error).await =>
            {
                followed.buried += 1;
            }
            Err(error) => {
                let (sequence_number, error) = (number_of(record), with_causes(&error));
                error!(sequence_number, error, "stream record {sequence_number} cannot be followed");
                return Followed { failed: Some(sequence_number), ..followed };
            }
        }
        followed.records += 1;
    }
    followed
}

/// An organization's changes of a batch with their numbers, in order; or why they could not be published.
type Published = Result<std::vec::IntoIter<FeedEvent>, StoreError>;

type Feeds = BTreeMap<OrganizationId, Published>;

fn number_of(record: &EventRecord) -> String {
    record.change.sequence_number.clone().unwrap_or_default()
}

/// Publishes the changes of a batch. An organization whose feed fails does not hold up the others.
async fn publish_all<S, Q, C, B>(publisher: &Publisher<S, Q, C, B>, batch: impl Iterator<Item = &Happening>) -> Feeds
where
    S: FeedStore,
    C: Clock,
{
    let mut candidates: BTreeMap<OrganizationId, Vec<Candidate>> = BTreeMap::new();
    for happening in batch {
        if let Happening::Changed { organization, changes, .. } = happening
            && !changes.is_empty()
        {
            candidates.entry(organization.clone()).or_default().extend(changes.iter().cloned());
        }
    }
    let mut work = Vec::with_capacity(candidates.len());
    for (organization, candidates) in candidates {
        work.push(publish_one(publisher, organization, candidates));
    }
    futures::stream::iter(work).buffer_unordered(FEEDS_AT_ONCE).collect().await
}

async fn publish_one<S, Q, C, B>(
    publisher: &Publisher<S, Q, C, B>,
    organization: OrganizationId,
    candidates: Vec<Candidate>,
) -> (OrganizationId, Published)
where
    S: FeedStore,
    C: Clock,
{
    let published = publish(publisher.feed(), &organization, &candidates).await.map(|seqs| {
        let changes = candidates.into_iter().map(|candidate| candidate.change);
        seqs.into_iter().zip(changes).map(|(seq, change)| FeedEvent { seq, change }).collect::<Vec<_>>().into_iter()
    });
    (organization, published)
}

/// Does what a record asks for; how many changes it tells of.
async fn follow_one<S, Q, C, B>(
    publisher: &Publisher<S, Q, C, B>,
    feeds: &mut Feeds,
    happening: Happening,
    announcements: &mut Vec<Announcement>,
) -> Result<u64, StoreError>
where
    S: StockStore + MarketplaceStores + ReceiptStore,
    Q: Queue,
    C: Clock,
{
    match happening {
        Happening::Nothing => Ok(0),
        Happening::Moved(reservation) => {
            announcements.extend(steps::after_reservation(publisher, &reservation).await?);
            Ok(0)
        }
        Happening::Receipt(old, new) => {
            announcements.extend(steps::after_receipt(publisher, old.as_deref(), &new).await?);
            Ok(0)
        }
        Happening::Store(old, new) => {
            announcements.extend(store_announcements(old.as_deref(), &new));
            Ok(0)
        }
        Happening::Disputed(conflict, found) => {
            announcements.extend(steps::after_conflict(publisher, &conflict, found).await?);
            Ok(0)
        }
        Happening::Changed { organization, changes, low_stock, oversold, .. } => {
            let gained = changes.len();
            for event in take(feeds, &organization, gained)? {
                announcements.extend(steps::after_change(&organization, &event, low_stock));
            }
            mark_short_orders(&publisher.store, &publisher.clock, &publisher.ids, &oversold).await?;
            Ok(gained as u64)
        }
    }
}

/// The next changes of an organization.
fn take(feeds: &mut Feeds, organization: &OrganizationId, count: usize) -> Result<Vec<FeedEvent>, StoreError> {
    match feeds.get_mut(organization) {
        Some(Ok(events)) => Ok(events.take(count).collect()),
        Some(Err(error)) => Err(error.again()),
        None => Ok(Vec::new()),
    }
}

/// Whether the record lies with the dead letters now.
async fn bury<S, Q: Queue, C, B>(publisher: &Publisher<S, Q, C, B>, record: &EventRecord, error: &StoreError) -> bool {
    let (sequence_number, reason) = (record.change.sequence_number.as_deref().unwrap_or_default(), with_causes(error));
    match poison::bury(&publisher.queue, record, &reason).await {
        Ok(()) => {
            warn!(sequence_number, reason, "stream record {sequence_number} went to the dead letters");
            true
        }
        Err(error) => {
            error!(sequence_number, error = with_causes(&error), "the dead letters do not take {sequence_number}");
            false
        }
    }
}

#[cfg(test)]
mod tests;
