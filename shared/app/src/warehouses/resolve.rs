//! Settling a conflict by hand: the conflict's state moves first, the level follows.
//!
//! The level's write is a function of the settled conflict, so whoever finds a crash in between does it again: the
//! resolver that repeats, or the table's stream.

use evenstock_domain::{ActorCode, OrganizationId, Outcome, Timestamp};

use super::apply_counts::CountDeps;
use super::conflict::{Conflict, ConflictChoice, ConflictResolution, ConflictStore};
use crate::{Clock, StockStore, StoreError, apply_group};

/// Tries before a resolution gives up.
const ATTEMPTS_MAX: u32 = 12;

/// Who decides what about a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolve {
    /// The tenant.
    pub organization: OrganizationId,
    /// The conflict.
    pub id: String,
    /// Whose number counts.
    pub choice: ConflictChoice,
    /// The key that decides.
    pub by: String,
    /// Its code in journals.
    pub actor: ActorCode,
}

/// What a resolution comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolveResult {
    /// It is settled as asked.
    Resolved(Conflict),
    /// It was settled in another way before.
    Otherwise(Conflict),
    /// There is no such conflict.
    Unknown,
}

/// Settles a conflict, once. Asking for the same again changes nothing.
///
/// # Errors
/// [`StoreError`] when the store fails or stays outpaced. The conflict may be settled; the same call goes on from there.
pub async fn resolve_conflict<S: StockStore + ConflictStore, C: Clock>(
    deps: CountDeps<'_, S, C>,
    asked: &Resolve,
) -> Result<ResolveResult, StoreError> {
    let mut last = None;
    for attempt in 1..=ATTEMPTS_MAX {
        match resolve_once(deps, asked).await {
            Ok(Some(result)) => {
                if let ResolveResult::Resolved(conflict) = &result {
                    follow_conflict(deps, conflict).await?;
                }
                return Ok(result);
            }
            Ok(None) => {}
            // An unknown outcome is settled by looking again.
            Err(error) if error.is_passing() => last = Some(error),
            Err(error) => return Err(error),
        }
        deps.clock.back_off(attempt).await;
    }
    Err(last.unwrap_or_else(|| StoreError::exhausted(ATTEMPTS_MAX)))
}

/// `None`: outpaced, look again.
async fn resolve_once<S: StockStore + ConflictStore, C: Clock>(
    deps: CountDeps<'_, S, C>,
    asked: &Resolve,
) -> Result<Option<ResolveResult>, StoreError> {
    let Some(conflict) = deps.store.load_conflict(&asked.organization, &asked.id).await? else {
        return Ok(Some(ResolveResult::Unknown));
    };
    if let Some(resolution) = &conflict.resolution {
        let same = resolution.choice == asked.choice;
        return Ok(Some(if same { ResolveResult::Resolved(conflict) } else { ResolveResult::Otherwise(conflict) }));
    }
    let at = time_of_word(deps, &conflict).await?;
    let resolution = ConflictResolution { choice: asked.choice, at, by: Some(asked.by.clone()), actor: asked.actor };
    let settled = Conflict { resolution: Some(resolution), ..conflict };
    let done = deps.store.settle_conflict(&settled).await?;
    Ok(done.then_some(ResolveResult::Resolved(settled)))
}

/// Our own word comes after every count so far, whatever its source's clock said. Kept with the resolution, so that the
/// level's event has one time however often it is applied.
async fn time_of_word<S: StockStore, C: Clock>(
    deps: CountDeps<'_, S, C>,
    conflict: &Conflict,
) -> Result<Timestamp, StoreError> {
    let stored = deps.store.load(&conflict.key()).await?;
    let observed = stored.and_then(|stored| stored.level.observed).map(|observed| observed.time.plus_millis(1));
    Ok(deps.clock.now().max(observed.unwrap_or_default()))
}

/// Makes the level follow a conflict that is settled. Doing so again changes nothing.
///
/// # Errors
/// [`StoreError`] when the level could not be written; the same call goes on with it.
pub async fn follow_conflict<S: StockStore, C: Clock>(
    deps: CountDeps<'_, S, C>,
    conflict: &Conflict,
) -> Result<(), StoreError> {
    let events = conflict.settlements(deps.ids);
    let result = apply_group(deps.store, deps.clock, &conflict.key(), &events).await;
    if let Some(failure) = result.failure {
        return Err(failure);
    }
    // Duplicate: it was done before. Stale: the warehouse has spoken since, and its newer word stands.
    let refused = result.outcomes.iter().find(|outcome| matches!(outcome, Outcome::Rejected(_)));
    match refused {
        None => Ok(()),
        Some(outcome) => Err(StoreError::Corrupt {
            key: format!("conflict {}", conflict.id),
            reason: format!("its level cannot be settled: {outcome:?}"),
        }),
    }
}
