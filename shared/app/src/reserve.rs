//! Making a reservation: all of its lines or none.
//!
//! Put as pending, each line reserved by a request of its own, then held. Wherever this breaks off, the same request
//! under the same idempotency key goes on, or the sweeper gives the reservation up.

use evenstock_domain::{
    ActorCode, LevelKey, Line, OrderId, OrganizationId, Outcome, Past, Placed, Rejection, Reservation, ReservationId,
    ReservationState, StockEvent, StockLevel, Transition, decide,
};
use futures::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::request::recall;
use crate::settle_reservation::{AT_ONCE, advance};
use crate::{
    Answer, Clock, IdempotencyStore, Operation, ReservationDeps, ReservationStore, ReservationWrite, SettleResult,
    StockStore, StoreError, bind, complete, request, with_causes,
};

/// Rounds of one call. Each but the first follows somebody else's step, or a passing fault.
const ROUNDS_MAX: u32 = 8;

/// Passing faults of one call. Every write inside a round has tries of its own.
const FAULTS_MAX: u32 = 3;

/// How long after its begin a call may begin another round, in milliseconds: with the patience of a request on top it
/// stays within the shortest function timeout, so that the caller gets our answer and not the gateway's.
const ROUNDS_BEGIN_MS: i64 = 5_000;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// The tenant.
    pub organization: OrganizationId,
    /// The order that the units are for.
    pub order_id: Option<OrderId>,
    /// What to hold, one line a level.
    pub lines: Vec<Line>,
    /// How long to hold it.
    pub ttl_seconds: i64,
    /// The version that the client saw last, for a reservation of one line.
    pub expected_version: Option<u64>,
    /// The client's name for this request, with the hash that it is bound to.
    pub idempotency: Option<(String, [u8; 32])>,
    /// A new name, for a reservation that has no idempotency key to name it.
    pub new_id: ReservationId,
    /// Which key acted.
    pub actor: ActorCode,
}

/// A line that cannot be reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLine {
    /// Its place among the lines.
    pub place: usize,
    /// Why.
    pub answer: Answer,
    /// The level that it met; `None` when there is none.
    pub level: Option<StockLevel>,
}

/// What making a reservation comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReserveResult {
    /// All units are held, or were when the request was first made.
    Reserved {
        /// The reservation as it is now.
        reservation: Reservation,
        /// What became of each level; an entry that history has forgotten is left out.
        placed: Vec<Option<Placed>>,
        /// Whether the answer is that of an earlier request under the same key.
        replayed: bool,
    },
    /// Nothing is held, because of these lines.
    Refused(Vec<RefusedLine>),
    /// The idempotency key belongs to another request.
    KeyReused,
}

/// Holds all lines or none.
///
/// # Errors
/// [`StoreError`] when the store fails or stays outpaced; the client may send the same request again.
pub async fn reserve<S, C>(deps: ReservationDeps<'_, S, C>, asked: &Reserve) -> Result<ReserveResult, StoreError>
where
    S: StockStore + ReservationStore + IdempotencyStore,
    C: Clock,
{
    let (id, known) = match &asked.idempotency {
        None => (asked.new_id.clone(), false),
        Some((key, hash)) => match bind(deps.store, deps.clock, &asked.organization, key, *hash).await? {
            Operation::KeyReused => return Ok(ReserveResult::KeyReused),
            Operation::Bound { name, known, .. } => (id_of(&name)?, known),
        },
    };
    let mut faults = 0;
    let give_up = deps.clock.now().plus_millis(ROUNDS_BEGIN_MS);
    // A reservation of our own making is not looked for: nobody else knows its name.
    let mut look = known;
    for round in 1..=ROUNDS_MAX {
        match one_round(deps, asked, &id, look).await {
            Ok(Some(result)) => return Ok(result),
            Ok(None) if deps.clock.now() > give_up => return Err(StoreError::exhausted(round)),
            Ok(None) => {}
            Err(error) if error.is_passing() && faults < FAULTS_MAX && deps.clock.now() <= give_up => faults += 1,
            Err(error) => return Err(error),
        }
        look = true;
        deps.clock.back_off(round).await;
    }
    Err(StoreError::exhausted(ROUNDS_MAX))
}

/// The name of a keyed request's reservation: the same for every repetition.
fn id_of(operation: &str) -> Result<ReservationId, StoreError> {
    let digest = Sha256::digest(operation.as_bytes());
    let text = hex::encode(digest.get(..16).unwrap_or_default());
    ReservationId::parse(&text).map_err(|error| StoreError::Refused(Box::new(error)))
}

/// `None`: somebody else moved it meanwhile, look again.
async fn one_round<S, C>(
    deps: ReservationDeps<'_, S, C>,
    asked: &Reserve,
    id: &ReservationId,
    look: bool,
) -> Result<Option<ReserveResult>, StoreError>
where
    S: StockStore + ReservationStore,
    C: Clock,
{
    let ReservationDeps { store, clock, .. } = deps;
    let stored = if look { store.load_reservation(&asked.organization, id).await? } else { None };
    match stored.map(|stored| stored.reservation) {
        Some(reservation) if reservation.held_at.is_some() => replay(deps, reservation).await.map(Some),
        Some(pending) if pending.state == ReservationState::Pending => make(deps, asked, pending).await,
        Some(refused) => {
            // Refusals are decided afresh, but only once nothing is left of the one before, and under the ids of the next
            // one: the levels remember what became of the old ones.
            complete(deps, &refused).await?;
            let restart = |current: &Reservation, now| current.restart(now, asked.ttl_seconds, asked.actor);
            let Transition::Moved(next) = restart(&refused, clock.now()) else {
                return Ok(None);
            };
            let refusals = look_first(deps, asked, &next).await?;
            if !refusals.is_empty() {
                return Ok(Some(ReserveResult::Refused(refusals)));
            }
            match advance(deps, &asked.organization, id, restart).await? {
                SettleResult::Settled { reservation, .. } => make(deps, asked, reservation).await,
                SettleResult::Conflict { .. } | SettleResult::Unknown => Ok(None),
            }
        }
        None => {
            let (organization, lines) = (asked.organization.clone(), asked.lines.clone());
            let (order_id, now) = (asked.order_id.clone(), clock.now());
            let fresh =
                Reservation::begin(organization, id.clone(), order_id, lines, now, asked.ttl_seconds, asked.actor);
            let refusals = look_first(deps, asked, &fresh).await?;
            if !refusals.is_empty() {
                return Ok(Some(ReserveResult::Refused(refusals)));
            }
            match store.save_reservation(None, &fresh).await? {
                ReservationWrite::Saved => make(deps, asked, fresh).await,
                ReservationWrite::Conflict(_) => Ok(None),
            }
        }
    }
}

/// Looks at every level before anything is written: what cannot be held now is refused without a trace, and every line
/// that is short can be named. A level that is not there is never reserved from, so none is made only to void it.
async fn look_first<S: StockStore, C: Clock>(
    deps: ReservationDeps<'_, S, C>,
    asked: &Reserve,
    reservation: &Reservation,
) -> Result<Vec<RefusedLine>, StoreError> {
    let mut work = Vec::new();
    for (place, (key, event)) in reservation.reserves(deps.ids, asked.expected_version).into_iter().enumerate() {
        work.push(look_at(deps, place, key, event));
    }
    let looked: Vec<_> = futures::stream::iter(work).buffered(AT_ONCE).try_collect().await?;
    Ok(looked.into_iter().flatten().collect())
}

async fn look_at<S: StockStore, C: Clock>(
    deps: ReservationDeps<'_, S, C>,
    place: usize,
    key: LevelKey,
    event: StockEvent,
) -> Result<Option<RefusedLine>, StoreError> {
    let Some(stored) = deps.store.load(&key).await? else {
        return Ok(Some(RefusedLine { place, answer: Answer::Insufficient, level: None }));
    };
    let level = stored.level;
    let verdict = decide(&level, core::slice::from_ref(&event), &Past::none(), deps.clock.now());
    let answer = match verdict.outcomes.first() {
        Some(Outcome::Insufficient) => Answer::Insufficient,
        Some(Outcome::VersionConflict) => Answer::VersionConflict,
        Some(Outcome::Rejected(rejection)) => Answer::Rejected(*rejection),
        _ => return Ok(None),
    };
    Ok(Some(RefusedLine { place, answer, level: Some(level) }))
}

/// Reserves every line of a pending reservation, then holds it, or gives it up when one is refused.
async fn make<S, C>(
    deps: ReservationDeps<'_, S, C>,
    asked: &Reserve,
    pending: Reservation,
) -> Result<Option<ReserveResult>, StoreError>
where
    S: StockStore + ReservationStore,
    C: Clock,
{
    let reserves = pending.reserves(deps.ids, asked.expected_version);
    let mut work = Vec::with_capacity(reserves.len());
    for (key, event) in &reserves {
        work.push(request(deps.store, deps.clock, key, event));
    }
    let settled: Vec<_> = futures::stream::iter(work).buffered(AT_ONCE).try_collect().await?;
    let (mut placed, mut refusals) = (Vec::with_capacity(settled.len()), Vec::new());
    for (place, settled) in settled.into_iter().enumerate() {
        match settled.answer {
            Answer::Applied(entry) => placed.push(Some(entry)),
            answer => refusals.push(RefusedLine { place, answer, level: Some(settled.level) }),
        }
    }
    // Another call of this very request may have given it up and begun it again: only the attempt that these lines are
    // of may be held or refused for them.
    let attempt = pending.attempt;
    let moved = advance(deps, &pending.organization, &pending.id, |current, now| {
        if current.attempt != attempt {
            Transition::Conflict(current.state)
        } else if refusals.is_empty() {
            current.hold(now)
        } else {
            current.refuse(now)
        }
    });
    match moved.await? {
        SettleResult::Settled { reservation, .. } if refusals.is_empty() => {
            Ok(Some(ReserveResult::Reserved { reservation, placed, replayed: false }))
        }
        SettleResult::Settled { reservation, .. } => {
            if let Err(error) = complete(deps, &reservation).await {
                warn!(reservation.id = %reservation.id, error = with_causes(&error), "lines of {} are given back later", reservation.id);
            }
            refusals.retain(|line| line.answer != Answer::Rejected(Rejection::Voided));
            Ok((!refusals.is_empty()).then_some(ReserveResult::Refused(refusals)))
        }
        SettleResult::Conflict { .. } | SettleResult::Unknown => {
            give_up(deps, pending).await?;
            Ok(None)
        }
    }
}

/// Undoes what this call reserved for an attempt that somebody else ended.
async fn give_up<S, C>(deps: ReservationDeps<'_, S, C>, attempt: Reservation) -> Result<(), StoreError>
where
    S: StockStore + ReservationStore,
    C: Clock,
{
    let stored = deps.store.load_reservation(&attempt.organization, &attempt.id).await?;
    match stored.map(|stored| stored.reservation) {
        // Held by a twin with these very entries: they are its units.
        Some(current) if current.attempt == attempt.attempt && current.held_at.is_some() => Ok(()),
        Some(current) if current.attempt == attempt.attempt => complete(deps, &current).await,
        _ => match attempt.refuse(deps.clock.now()) {
            Transition::Moved(ended) => complete(deps, &ended).await,
            _ => Ok(()),
        },
    }
}

/// The first answer again, from what the levels remember.
async fn replay<S: StockStore, C: Clock>(
    deps: ReservationDeps<'_, S, C>,
    reservation: Reservation,
) -> Result<ReserveResult, StoreError> {
    let reserves = reservation.reserves(deps.ids, None);
    let mut work = Vec::with_capacity(reserves.len());
    for (key, event) in &reserves {
        work.push(recall(deps.store, key, event));
    }
    let placed = futures::stream::iter(work).buffered(AT_ONCE).try_collect().await?;
    Ok(ReserveResult::Reserved { reservation, placed, replayed: true })
}
