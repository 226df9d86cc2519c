//! From records to levels: read, find the warehouse, group by level, apply.

use std::collections::BTreeMap;

use evenstock_app::{
    Clock, ConflictStore, CountDeps, CountOutcome, CountsApplied, StockStore, StoreError, Warehouse, WarehouseCount,
    WarehouseStore, apply_counts, with_causes,
};
use evenstock_channels::{Envelope, adapt_warehouse_change};
use evenstock_domain::{ConflictPolicy, LevelKey, LocationId};
use evenstock_runtime::metrics::{Counter, count};
use futures::StreamExt;
use tracing::warn;

use crate::WarehouseEvents;
use crate::record::Record;

/// Levels that are worked on at once.
const LEVELS_AT_ONCE: usize = 16;

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is durable, or changes nothing.
    Done,
    /// It contradicts what we know, and that is durable.
    Conflict,
    /// It can never be applied as it stands, for this reason.
    Dead(String),
    /// It could not be applied now, for this reason.
    Later(String),
}

impl Fate {
    /// A record that changes two levels shares the worse fate.
    fn worsen(&mut self, other: Self) {
        let rank = |fate: &Self| match fate {
            Self::Done => 0,
            Self::Conflict => 1,
            Self::Dead(_) => 2,
            Self::Later(_) => 3,
        };
        if rank(&other) > rank(self) {
            *self = other;
        }
    }
}

/// A level's changes of one batch, each with the place of its record.
#[derive(Debug, Default)]
struct Group {
    counts: Vec<(WarehouseCount, usize)>,
}

/// Warehouses that this batch names: theirs, nobody's, or not to be had now.
type Known = BTreeMap<LocationId, Result<Option<Warehouse>, String>>;

pub(crate) async fn apply<S, Q, C>(function: &WarehouseEvents<S, Q, C>, records: &[Record]) -> Vec<Fate>
where
    S: StockStore + WarehouseStore + ConflictStore,
    Q: Sync,
    C: Clock,
{
    let mut fates = vec![Fate::Done; records.len()];
    let mut counts = Vec::new();
    for (place, (record, fate)) in records.iter().zip(&mut fates).enumerate() {
        match read(record) {
            Ok(read) => counts.extend(read.into_iter().map(|count| (count, place))),
            Err(reason) => *fate = Fate::Dead(reason),
        }
    }
    let known = warehouses(&function.store, &counts).await;
    let mut groups: BTreeMap<LevelKey, (ConflictPolicy, Group)> = BTreeMap::new();
    for (count, place) in counts {
        let fate = match known.get(&count.warehouse) {
            Some(Ok(Some(warehouse))) => {
                let organization = warehouse.organization.clone();
                let key = LevelKey { organization, sku: count.sku.clone(), location: count.warehouse.clone() };
                let (_, group) = groups.entry(key).or_insert_with(|| (warehouse.policy, Group::default()));
                group.counts.push((count, place));
                continue;
            }
            Some(Ok(None)) => Fate::Dead(format!("warehouse {} is not known", count.warehouse)),
            Some(Err(reason)) => Fate::Later(reason.clone()),
            None => Fate::Later(format!("warehouse {} was not read", count.warehouse)),
        };
        fates.get_mut(place).into_iter().for_each(|known| known.worsen(fate.clone()));
    }
    let work = groups.into_iter().map(|(key, (policy, group))| Box::pin(apply_group(function, key, policy, group)));
    let mut done = futures::stream::iter(work).buffer_unordered(LEVELS_AT_ONCE);
    while let Some(settled) = done.next().await {
        for (place, fate) in settled {
            fates.get_mut(place).into_iter().for_each(|known| known.worsen(fate.clone()));
        }
    }
    drop(done);
    fates
}

fn read(record: &Record) -> Result<Vec<WarehouseCount>, String> {
    if let Some(reason) = record.broken {
        return Err(reason.to_owned());
    }
    match adapt_warehouse_change(&record.value) {
        Ok(Envelope::Tombstone) => Ok(Vec::new()),
        Ok(Envelope::Counts(counts)) => Ok(counts),
        Err(invalid) => {
            let issues: Vec<_> = invalid.issues.iter().map(ToString::to_string).collect();
            Err(issues.join("; "))
        }
    }
}

async fn warehouses<S: WarehouseStore>(store: &S, counts: &[(WarehouseCount, usize)]) -> Known {
    let mut known = Known::new();
    for (count, _) in counts {
        if known.contains_key(&count.warehouse) {
            continue;
        }
        let found = store.load_warehouse(&count.warehouse).await.map_err(|error| {
            let reason = with_causes(&error);
            warn!(location.id = %count.warehouse, error = reason, "warehouse cannot be read");
            reason
        });
        known.insert(count.warehouse.clone(), found);
    }
    known
}

async fn apply_group<S, Q, C>(
    function: &WarehouseEvents<S, Q, C>,
    key: LevelKey,
    policy: ConflictPolicy,
    Group { mut counts }: Group,
) -> Vec<(usize, Fate)>
where
    S: StockStore + ConflictStore,
    Q: Sync,
    C: Clock,
{
    // A partition keeps a row's order, a queue does not. Out of order a change would contradict the one that overtook it.
    counts.sort_by_key(|(count, _)| (count.time, count.sequence()));
    let (counts, places): (Vec<_>, Vec<_>) = counts.into_iter().unzip();
    let WarehouseEvents { store, clock, ids, .. } = function;
    let CountsApplied { outcomes, failure } =
        apply_counts(CountDeps { store, clock, ids }, &key, policy, &counts).await;
    let unsettled = match failure {
        Some(failure) => {
            let left = counts.len().saturating_sub(outcomes.len());
            let reason = with_causes(&failure);
            warn!(sku.id = %key.sku, location.id = %key.location, error = reason, left, "changes of {} are not settled", key.sku);
            match failure {
                // Nothing but an operator mends it, and the others must not wait for him.
                StoreError::Corrupt { .. } => Fate::Dead(failure.to_string()),
                _ => Fate::Later(reason),
            }
        }
        None => Fate::Done,
    };
    tally(&outcomes);
    let fates = outcomes.into_iter().map(|outcome| match outcome {
        CountOutcome::Applied | CountOutcome::Unchanged => Fate::Done,
        CountOutcome::Conflict => Fate::Conflict,
        CountOutcome::Rejected(reason) => Fate::Dead(reason.to_string()),
    });
    places.into_iter().zip(fates.chain(core::iter::repeat(unsettled))).collect()
}

fn tally(outcomes: &[CountOutcome]) {
    for outcome in outcomes {
        match outcome {
            CountOutcome::Applied => {
                count(Counter::WarehouseChangesApplied, 1);
                count(Counter::InventoryUpdates, 1);
            }
            CountOutcome::Unchanged => count(Counter::WarehouseChangesStale, 1),
            CountOutcome::Conflict => count(Counter::WarehouseConflicts, 1),
            // It is counted as a dead letter, once that is sent.
            CountOutcome::Rejected(_) => {}
        }
    }
}
