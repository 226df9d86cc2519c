//! One level on its way to the central system: what is known of it, and what became of it.

use evenstock_domain::{
    CentralCopy, ChangeOrigin, Entry, EventIdKey, Holding, LevelKey, PAGE_ENTRIES, PendingChange, Source, StockLevel,
    Timestamp,
};

use super::dispute::CENTRAL_SOURCE;
use super::propagate::PushFate;
use crate::access::actor_of;
use crate::{StockStore, StoreError, history};

/// A level in work.
pub(super) struct Task {
    pub(super) key: LevelKey,
    /// Whether a difference counts now: it had time to disappear.
    pub(super) again: bool,
    /// Names the level among all that any deployment pushes.
    name: String,
    /// Of the stored copy; `None` while there is none.
    pub(super) rev: Option<u64>,
    /// `None` until it was read or begun.
    pub(super) copy: Option<CentralCopy>,
    /// The stored copy's `through`.
    saved_through: u64,
    pub(super) ours: Holding,
    pub(super) ours_at: Timestamp,
    pub(super) pending: Vec<PendingChange>,
    /// How often somebody else was faster.
    pub(super) outpaced: u32,
    /// Whether this batch found a conflict.
    pub(super) found: bool,
    /// `None` while it is in work.
    pub(super) fate: Option<PushFate>,
}

impl Task {
    pub(super) fn new(key: LevelKey, again: bool, ids: &EventIdKey) -> Self {
        let level = format!("push/{}\0{}\0{}", key.organization, key.location, key.sku);
        let name = hex::encode(ids.event_id(&level).0);
        let none = Holding { quantity: 0, version: 0 };
        Self {
            key,
            again,
            name,
            rev: None,
            copy: None,
            saved_through: 0,
            ours: none,
            ours_at: Timestamp::EPOCH,
            pending: Vec::new(),
            outpaced: 0,
            found: false,
            fate: None,
        }
    }

    /// The idempotency key of a push.
    pub(super) fn key_of(&self, push: &evenstock_domain::CentralPush) -> String {
        format!("{}-{}", self.name, push.name())
    }

    pub(super) fn take_level(&mut self, level: &StockLevel) {
        self.ours = Holding { quantity: level.available, version: level.version };
        self.ours_at = level.updated_at;
    }

    pub(super) fn take_copy(&mut self, rev: Option<u64>, copy: Option<CentralCopy>) {
        self.saved_through = copy.as_ref().map_or(0, |copy| copy.through);
        (self.rev, self.copy) = (rev, copy);
    }

    /// A copy that was written over the one before.
    pub(super) fn wrote(&mut self, copy: CentralCopy) {
        let rev = self.rev.map_or(1, |rev| rev.saturating_add(1));
        self.take_copy(Some(rev), Some(copy));
    }

    /// Whether so much was passed by without a push that it is worth a write: else it is passed by again next time.
    pub(super) fn is_worth_saving(&self, copy: &CentralCopy) -> bool {
        copy.through.saturating_sub(self.saved_through) >= PAGE_ENTRIES as u64
    }
}

/// Who the central system is when it writes to us: an API key's id, or a source's name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theirs<'a>(pub(super) Option<&'a str>);

impl Theirs<'_> {
    fn origin(self, entry: &Entry, source: &Source) -> ChangeOrigin {
        let is_theirs = |name: &str| source.as_str() == name || entry.actor == actor_of(name);
        if source.as_str() == CENTRAL_SOURCE {
            ChangeOrigin::Settled
        } else if self.0.is_some_and(is_theirs) {
            ChangeOrigin::Theirs
        } else {
            ChangeOrigin::Ours
        }
    }
}

/// The changes of a level behind `through`, oldest first, from the level and, where it does not reach back so far, from its
/// pages. `None` when they are not there any more.
pub(super) async fn pending<S: StockStore>(
    store: &S,
    key: &LevelKey,
    level: &StockLevel,
    through: u64,
    theirs: Theirs<'_>,
) -> Result<Option<Vec<PendingChange>>, StoreError> {
    if through.saturating_add(1) >= level.first_recent_version() {
        let placed = (level.first_recent_version()..).zip(&level.recent).filter(|(version, _)| *version > through);
        let change = |(version, entry): (u64, &Entry)| {
            let api = Source::api();
            let source = level.sources.get(usize::from(entry.source)).unwrap_or(&api);
            PendingChange { version, delta: entry.available, origin: theirs.origin(entry, source) }
        };
        return Ok(Some(placed.map(change).collect()));
    }
    let limit = usize::try_from(level.version.saturating_sub(through)).unwrap_or(usize::MAX);
    let items = history(store, key, None, limit).await?.unwrap_or_default().items;
    let mut changes: Vec<_> = items
        .iter()
        .filter(|item| item.version > through)
        .map(|item| {
            let origin = theirs.origin(&item.entry, &item.source);
            PendingChange { version: item.version, delta: item.entry.available, origin }
        })
        .collect();
    changes.reverse();
    let adjoins = changes.first().is_none_or(|first| first.version == through.saturating_add(1));
    Ok(adjoins.then_some(changes))
}
