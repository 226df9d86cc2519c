//! The nightly repair: offers the feed every change of the last day that it should hold. Publishing skips what stands
//! there, so only what is missing is appended: changes whose records could not be read, or were lost with a stream.

use evenstock_domain::{Change, FEED_CLOCK_MARGIN_MS, LevelKey, Past, StockLevel, Timestamp, changes_since};
use tracing::{error, instrument, warn};

use super::{Candidate, FeedDeps, FeedStore, LevelScan, RepairStore, publish};
use crate::{Clock, StockStore, StoreError, with_causes};

/// Time between the beginnings of two passes, in milliseconds.
const EVERY_MS: i64 = 24 * 60 * 60 * 1000;

/// How far back a pass looks, in milliseconds: to the beginning of the pass before, with room for a late one.
const LOOK_BACK_MS: i64 = 26 * 60 * 60 * 1000;

/// Changes younger than this, in milliseconds, are left to the stream.
const SETTLE_MS: i64 = 15 * 60 * 1000;

/// Levels looked at between two checkpoints: the feed is read back a day for each such group of an organization.
const LEVELS: u32 = 1000;

/// Changes that are offered at once.
const CANDIDATES_MAX: usize = 5000;

/// How far the repair has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairPass {
    /// When the pass began.
    pub started_at: Timestamp,
    /// The last level looked at; `None` at the beginning and at the end.
    pub after: Option<LevelKey>,
    /// Whether all levels were looked at.
    pub finished: bool,
}

/// How much one run may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepairLimits {
    /// No group of levels is begun after this time.
    pub until: Timestamp,
}

/// What one run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RepairReport {
    /// Levels looked at.
    pub levels: u64,
    /// Changes offered to the feed.
    pub offered: u64,
    /// Levels, journals and feeds that could not be read, and were left out of the pass.
    pub unreadable: u64,
    /// Whether nothing is left until the next pass is due.
    pub finished: bool,
}

/// The pass to work on at `now`; `None` when the last one ended and the next is not due.
fn due(last: Option<&RepairPass>, now: Timestamp) -> Option<RepairPass> {
    match last {
        Some(pass) if !pass.finished => Some(pass.clone()),
        Some(pass) if now.millis_since(pass.started_at) < EVERY_MS => None,
        _ => Some(RepairPass { started_at: now, after: None, finished: false }),
    }
}

/// Goes on with the pass that is due, from its checkpoint, until it ends or time is up. What cannot be read is told and
/// left out: one broken item must not keep all others from being repaired, night after night.
///
/// # Errors
/// [`StoreError`] when the store fails. The next run goes on from the last checkpoint; offering a change twice is
/// harmless.
#[instrument(name = "ReplayEvent", skip_all)]
pub async fn repair<S, C>(deps: FeedDeps<'_, S, C>, limits: RepairLimits) -> Result<RepairReport, StoreError>
where
    S: FeedStore + LevelScan + RepairStore + StockStore,
    C: Clock,
{
    let mut report = RepairReport::default();
    let mut last = deps.store.repair_pass().await?;
    while let Some(pass) = due(last.as_ref(), deps.clock.now()) {
        if deps.clock.now() >= limits.until {
            return Ok(report);
        }
        let page = deps.store.scan_levels(pass.after.as_ref(), LEVELS).await?;
        report.levels = report.levels.saturating_add(page.levels.len() as u64);
        for error in &page.unreadable {
            skip(error, &mut report);
        }
        offer(deps, &pass, &page.levels, &mut report).await?;
        let next = RepairPass { finished: page.next.is_none(), after: page.next, ..pass };
        if !deps.store.save_repair_pass(last.as_ref(), &next).await? {
            warn!("another run of the repair is under way");
            return Ok(report);
        }
        last = Some(next);
    }
    Ok(RepairReport { finished: true, ..report })
}

/// Leaves something unreadable out.
fn skip(error: &StoreError, report: &mut RepairReport) {
    error!(error = with_causes(error), "the repair of the feeds goes on without what it cannot read");
    report.unreadable = report.unreadable.saturating_add(1);
}

/// The result, or nothing when it rests on something unreadable.
fn readable<T>(result: Result<T, StoreError>, report: &mut RepairReport) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ StoreError::Corrupt { .. }) => {
            skip(&error, report);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Offers the changes of these levels.
async fn offer<S, C>(
    deps: FeedDeps<'_, S, C>,
    pass: &RepairPass,
    levels: &[(LevelKey, StockLevel)],
    report: &mut RepairReport,
) -> Result<(), StoreError>
where
    S: FeedStore + StockStore,
    C: Clock,
{
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut levels = levels.iter().peekable();
    while let Some((key, level)) = levels.next() {
        candidates.extend(readable(settled(deps.store, pass, key, level).await, report)?.unwrap_or_default());
        let same = levels.peek().is_some_and(|(next, _)| next.organization == key.organization);
        if !candidates.is_empty() && (!same || candidates.len() >= CANDIDATES_MAX) {
            if readable(publish(deps, &key.organization, &candidates).await, report)?.is_some() {
                report.offered = report.offered.saturating_add(candidates.len() as u64);
            }
            candidates.clear();
        }
    }
    Ok(())
}

/// The changes of a level that the feed should hold by now.
async fn settled<S: StockStore>(
    store: &S,
    pass: &RepairPass,
    key: &LevelKey,
    level: &StockLevel,
) -> Result<Vec<Candidate>, StoreError> {
    let (since, until) = (pass.started_at.plus_millis(-LOOK_BACK_MS), pass.started_at.plus_millis(-SETTLE_MS));
    if level.updated_at < since {
        return Ok(Vec::new());
    }
    let reaches_back = level.recent.first().is_some_and(|oldest| oldest.committed_at < since);
    let past = if !reaches_back && level.pages_spilled() > 0 {
        Past::reaching(since, store.pages_since(key, since).await?)
    } else {
        Past::none()
    };
    let changes = changes_since((&key.sku, &key.location), 0, level, &past);
    let settled = changes.into_iter().filter(|change| since <= change.at && change.at < until);
    // The writer's clock stands for the stream's, from which it may differ.
    let recorded_at = |change: &Change| change.at.plus_millis(-FEED_CLOCK_MARGIN_MS);
    Ok(settled.map(|change| Candidate { recorded_at: recorded_at(&change), change }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis).unwrap()
    }

    #[test]
    fn pass_is_due_daily_and_goes_on_until_it_ends() {
        let begun = RepairPass { started_at: at(0), after: None, finished: false };
        assert_eq!(due(None, at(0)), Some(begun.clone()));
        assert_eq!(due(Some(&begun), at(2 * EVERY_MS)), Some(begun.clone()), "an unfinished one is not begun anew");
        let ended = RepairPass { finished: true, ..begun };
        assert_eq!(due(Some(&ended), at(EVERY_MS - 1)), None);
        assert_eq!(due(Some(&ended), at(EVERY_MS)).map(|pass| pass.started_at), Some(at(EVERY_MS)));
    }
}
