//! Path (b), *decide*: read a level, decide a group of events on it, write once, and begin again when another writer
//! was faster.

use evenstock_domain::{LevelKey, Outcome, Past, RECENT_ENTRIES_MAX, StockEvent, StockLevel, Timestamp, decide};

use crate::{Clock, Commit, StockStore, StoreError, Stored};

/// Tries before a group gives up: each one follows a write of somebody else, or a passing fault.
const ATTEMPTS_MAX: u32 = 12;

/// How long a group is tried, in milliseconds. One slow level must not use up its whole batch's time.
const PATIENCE_MS: i64 = 12_000;

/// What became of a group of events.
#[derive(Debug)]
pub struct GroupResult {
    /// One outcome for each settled event, in order.
    pub outcomes: Vec<Outcome>,
    /// Why the events after those are not settled; `None` when all are.
    pub failure: Option<StoreError>,
}

/// One try at deciding and writing.
#[derive(Debug)]
pub(crate) enum Step {
    /// These events, from the first on, are settled durably.
    Settled {
        /// One outcome each.
        outcomes: Vec<Outcome>,
        /// The level after them.
        level: StockLevel,
        /// Its `rev`; `None` when it still does not exist.
        rev: Option<u64>,
        /// The pages that were looked at.
        past: Past,
    },
    /// Another writer was faster. Carries what stands there now.
    Outpaced(Option<Stored>),
}

/// Applies a group of events of one level, in arrival order, with one conditional write for as many of them as fit.
///
/// What is settled is durable; when the store fails in between, the rest carries the failure and may be given again:
/// every event is recognized by its id.
pub async fn apply_group<S: StockStore, C: Clock>(
    store: &S,
    clock: &C,
    key: &LevelKey,
    events: &[StockEvent],
) -> GroupResult {
    let mut outcomes = Vec::with_capacity(events.len());
    let mut known: Option<Option<Stored>> = None;
    let mut attempts = 0;
    let give_up = clock.now().plus_millis(PATIENCE_MS);
    while let Some(rest) = events.get(outcomes.len()..).filter(|rest| !rest.is_empty()) {
        let step = match known.take() {
            Some(current) => settle(store, key, current, rest, clock.now()).await,
            None => match store.load(key).await {
                Ok(current) => settle(store, key, current, rest, clock.now()).await,
                Err(error) => Err(error),
            },
        };
        match step {
            Ok(Step::Settled { outcomes: settled, level, rev, .. }) if !settled.is_empty() => {
                outcomes.extend(settled);
                known = Some(rev.map(|rev| Stored { rev, level }));
                continue;
            }
            // Somebody spilled further between our two reads; a fresh look resolves it.
            Ok(Step::Settled { .. }) => {}
            Ok(Step::Outpaced(current)) => known = Some(current),
            Err(error) if error.is_passing() && attempts < ATTEMPTS_MAX => {}
            Err(error) => return GroupResult { outcomes, failure: Some(error) },
        }
        attempts += 1;
        if attempts > ATTEMPTS_MAX || clock.now() > give_up {
            return GroupResult { outcomes, failure: Some(StoreError::exhausted(attempts)) };
        }
        clock.back_off(attempts).await;
    }
    GroupResult { outcomes, failure: None }
}

/// A level as read, ready for a decision.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The `rev` that was read; `None` when there is no level.
    pub(crate) rev: Option<u64>,
    /// The level as read.
    pub(crate) unspilled: StockLevel,
    /// The level without the page that was stored, if one was.
    pub(crate) level: StockLevel,
    /// The pages that the events call for.
    pub(crate) past: Past,
}

/// Makes room in a level that was read and looks back as far as the events call for.
///
/// The page is stored before any write that drops its entries, and holds committed entries only.
pub(crate) async fn prepare<S: StockStore>(
    store: &S,
    key: &LevelKey,
    current: Option<Stored>,
    events: &[StockEvent],
) -> Result<Prepared, StoreError> {
    let rev = current.as_ref().map(|stored| stored.rev);
    let mut level = current.map_or_else(StockLevel::new, |stored| stored.level);
    let unspilled = level.clone();
    let is_tight = events.len() > RECENT_ENTRIES_MAX.saturating_sub(level.recent.len());
    if let Some(page) = level.full_page().filter(|page| is_tight || page.entries.len() < level.recent.len()) {
        store.put_page(key, &page).await?;
        level.drop_page();
    }
    let past = look_back(store, key, &level, events).await?;
    Ok(Prepared { rev, unspilled, level, past })
}

/// Decides the events on the level as read and writes the result, spilling a full page on the way.
pub(crate) async fn settle<S: StockStore>(
    store: &S,
    key: &LevelKey,
    current: Option<Stored>,
    events: &[StockEvent],
    now: Timestamp,
) -> Result<Step, StoreError> {
    let Prepared { rev, unspilled, level, past } = prepare(store, key, current, events).await?;
    let mut decision = decide(&level, events, &past, now);
    if decision.level.recent.is_empty() {
        // Nothing was added after all: the newest entry must stay in the level.
        decision = decide(&unspilled, events, &past, now);
    }
    if !decision.changed {
        return Ok(Step::Settled { outcomes: decision.outcomes, level: unspilled, rev, past });
    }
    match store.commit(key, rev, &decision.level).await? {
        Commit::Committed => {
            let rev = Some(rev.map_or(1, |rev| rev.saturating_add(1)));
            Ok(Step::Settled { outcomes: decision.outcomes, level: decision.level, rev, past })
        }
        Commit::Conflict(current) => Ok(Step::Outpaced(current)),
    }
}

/// Reads the journal pages that these events call for, after the level was read.
pub(crate) async fn look_back<S: StockStore>(
    store: &S,
    key: &LevelKey,
    level: &StockLevel,
    events: &[StockEvent],
) -> Result<Past, StoreError> {
    let Some(start) = Past::needed(level, events) else {
        return Ok(Past::none());
    };
    let past = Past::reaching(start, store.pages_since(key, start).await?);
    if past.adjoins(level) {
        Ok(past)
    } else {
        let key = format!("{}/{}/{}", key.organization, key.sku, key.location);
        Err(StoreError::Corrupt { key, reason: "a journal page is missing or not whole".to_owned() })
    }
}
