//! Bulk sync: what a location holds according to its own books, set where it saw the current version.
//!
//! A replacement also empties what it does not name. It may come in parts, and then empties at the last one, but only
//! what nobody changed since the first. Every set is one decision on one level: no level waits for another, and doing
//! any of it again does nothing new.

mod level;
mod port;

use std::collections::BTreeSet;

use evenstock_domain::{
    ActorCode, EventBody, EventId, LevelKey, LocationId, Means, OrganizationId, Quantity, Sku, Source, StockEvent,
    Timestamp,
};
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use self::level::{One, Reason, applied, set_one};
pub use self::port::{BulkSync, BulkSyncStore};
use crate::{Clock, ListPosition, StockStore, StoreError, UpdateDeps};

/// Levels that are worked on at once.
const AT_ONCE: usize = 16;

/// Levels that one listing reads.
const LIST_LIMIT: u32 = 500;

/// Parts of one sync: two hundred thousand products.
const PARTS_MAX: usize = 200;

/// How long a sync may take from its first part to its last, in milliseconds.
const SYNC_LIFETIME_MS: i64 = 24 * 60 * 60 * 1000;

/// A product as the location's books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkProduct {
    /// The product.
    pub sku: Sku,
    /// How many there are.
    pub quantity: Quantity,
    /// The version that was seen last.
    pub version: u64,
}

/// What becomes of levels that are not named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BulkMode {
    /// Nothing.
    Merge,
    /// This request names all there is: the others are emptied.
    Replace,
    /// This request is a part of a sync under this name; at the last one the others are emptied.
    Part {
        /// The client's name for the sync.
        sync: String,
        /// Whether this is the last part.
        last: bool,
    },
}

/// One request of a bulk sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkRequest {
    /// Whose stock it is.
    pub organization: OrganizationId,
    /// The place.
    pub location: LocationId,
    /// What becomes of the others.
    pub mode: BulkMode,
    /// The products, each once.
    pub products: Vec<BulkProduct>,
    /// Which key acts.
    pub actor: ActorCode,
    /// Names the operation.
    pub operation: String,
    /// When it was first asked for.
    pub time: Timestamp,
}

/// How many levels came to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BulkCounters {
    /// Set or emptied.
    pub updated: u64,
    /// Made.
    pub created: u64,
    /// Left as they were.
    pub skipped: u64,
}

/// What a bulk sync comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkOutcome {
    /// It is done.
    Done(BulkCounters),
    /// The sync's name stands for another location.
    OtherLocation,
    /// The sync has more parts than are kept.
    TooManyParts,
}

/// Does one request of a bulk sync. Doing it again does nothing new.
///
/// # Errors
/// [`StoreError`] when the store fails or a level stays outpaced; part of it may be done.
pub async fn bulk_sync<S: StockStore + BulkSyncStore, C: Clock>(
    deps: &UpdateDeps<'_, S, C>,
    request: &BulkRequest,
) -> Result<BulkOutcome, StoreError> {
    let names: BTreeSet<Sku> = request.products.iter().map(|product| product.sku.clone()).collect();
    let (mut named, since) = match &request.mode {
        BulkMode::Merge => (None, request.time),
        BulkMode::Replace => (Some(names), request.time),
        BulkMode::Part { sync, last } => {
            let sync = begin(deps.store, request, sync).await?;
            if sync.location != request.location {
                return Ok(BulkOutcome::OtherLocation);
            }
            // Kept before anything is set, so that the last part never empties what an earlier one named.
            deps.store.add_part(&sync, &part_name(&names), &names.into_iter().collect::<Vec<_>>()).await?;
            let named = if *last { Some(deps.store.named(&sync, PARTS_MAX).await?) } else { None };
            match named {
                Some(None) => return Ok(BulkOutcome::TooManyParts),
                Some(named) => (named, sync.started_at),
                None => (None, sync.started_at),
            }
        }
    };
    let mut counters = set_named(deps, request).await?;
    if let Some(named) = named.take() {
        empty_others(deps, request, &named, since, &mut counters).await?;
    }
    Ok(BulkOutcome::Done(counters))
}

async fn begin<S: BulkSyncStore>(store: &S, request: &BulkRequest, id: &str) -> Result<BulkSync, StoreError> {
    let sync = BulkSync {
        organization: request.organization.clone(),
        id: id.to_owned(),
        location: request.location.clone(),
        started_at: request.time,
        expires_at: request.time.plus_millis(SYNC_LIFETIME_MS),
    };
    store.begin_sync(&sync).await
}

/// The same products are the same part.
fn part_name(products: &BTreeSet<Sku>) -> String {
    let mut hash = Sha256::new();
    for sku in products {
        hash.update(sku.as_str().as_bytes());
        hash.update(b"\0");
    }
    hex::encode(hash.finalize())
}

async fn set_named<S: StockStore, C: Clock>(
    deps: &UpdateDeps<'_, S, C>,
    request: &BulkRequest,
) -> Result<BulkCounters, StoreError> {
    let id = deps.ids.event_id(&request.operation);
    let sets = request.products.iter().map(|product| {
        let event = counted(request, id, product.quantity);
        set_one(deps, level_key(request, &product.sku), event, Reason::Named(product.version))
    });
    // Collected first: a lazy iterator of borrowing futures would not be `Send`.
    let sets: Vec<_> = sets.collect();
    let mut done = stream::iter(sets).buffer_unordered(AT_ONCE);
    let mut counters = BulkCounters::default();
    while let Some(one) = done.try_next().await? {
        counters.count(one);
    }
    Ok(counters)
}

/// Pages through all of the organization's levels: one that was made a moment ago may be missing, and has changed
/// since then anyway.
async fn empty_others<S: StockStore, C: Clock>(
    deps: &UpdateDeps<'_, S, C>,
    request: &BulkRequest,
    named: &BTreeSet<Sku>,
    since: Timestamp,
    counters: &mut BulkCounters,
) -> Result<(), StoreError> {
    let id = deps.ids.event_id(&request.operation);
    let nothing = Quantity::default();
    let mut after: Option<ListPosition> = None;
    loop {
        let page = deps.store.list(&request.organization, after.as_ref(), LIST_LIMIT).await?;
        let mut others = Vec::new();
        for (key, level) in page.levels {
            let ours = key.location == request.location && !named.contains(&key.sku);
            if ours && (level.available != 0 || applied(&level, id).is_some()) {
                others.push(set_one(deps, key, counted(request, id, nothing), Reason::Unnamed(since)));
            }
        }
        let mut done = stream::iter(others).buffer_unordered(AT_ONCE);
        while let Some(one) = done.try_next().await? {
            counters.count(one);
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

impl BulkCounters {
    const fn count(&mut self, one: One) {
        match one {
            One::Updated => self.updated += 1,
            One::Created => self.created += 1,
            One::Skipped => self.skipped += 1,
            One::Untouched => {}
        }
    }
}

fn level_key(request: &BulkRequest, sku: &Sku) -> LevelKey {
    LevelKey { organization: request.organization.clone(), sku: sku.clone(), location: request.location.clone() }
}

fn counted(request: &BulkRequest, id: EventId, quantity: Quantity) -> StockEvent {
    StockEvent {
        id,
        time: request.time,
        source: Source::api(),
        actor: request.actor,
        body: EventBody::Count { quantity, means: Means::Available, sequence: 0 },
    }
}
