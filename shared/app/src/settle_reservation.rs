//! Moving a reservation to its next state, and making its levels follow.
//!
//! The state moves first, by one conditional write: of a release, an expiry and a fulfilment that race, one wins. The
//! levels follow under ids of their own, as often as it takes: the one who moved the state makes them, whoever reads the
//! table's stream makes them again.

use evenstock_domain::{
    ActorCode, EventBody, EventIdKey, LevelKey, OrganizationId, Outcome, Reservation, ReservationId, ReservationState,
    StockEvent, Timestamp, Transition,
};
use futures::StreamExt;

use crate::{
    Answer, Clock, ReservationStore, ReservationWrite, StockStore, StoreError, StoredReservation, apply_group, request,
};

/// Tries at moving a reservation. Only its own callers contend for it.
const ATTEMPTS_MAX: u32 = 12;

/// Levels that are worked on at once.
pub(crate) const AT_ONCE: usize = 16;

/// What moving reservations and their levels needs.
#[derive(Debug)]
pub struct ReservationDeps<'a, S, C> {
    /// Levels and reservations.
    pub store: &'a S,
    /// Time.
    pub clock: &'a C,
    /// Names events.
    pub ids: &'a EventIdKey,
}

impl<S, C> Clone for ReservationDeps<'_, S, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, C> Copy for ReservationDeps<'_, S, C> {}

/// A client's wish for a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settle {
    /// The tenant.
    pub organization: OrganizationId,
    /// The reservation.
    pub id: ReservationId,
    /// What is wanted.
    pub wanted: Wanted,
    /// When it was first asked for.
    pub time: Timestamp,
    /// Whether it was asked for before, under the same idempotency key.
    pub known: bool,
    /// Which key acted.
    pub actor: ActorCode,
}

/// What a client wants of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Give its units back.
    Release,
    /// Its units left the shelf.
    Fulfil,
    /// Hold its units for so many seconds from now on.
    Extend {
        /// Seconds.
        ttl_seconds: i64,
    },
}

/// Does what a client wants of a reservation, once, however often it is sent.
///
/// # Errors
/// [`StoreError`] when the store fails or stays outpaced; the client may send the same request again.
pub async fn settle<S, C>(deps: ReservationDeps<'_, S, C>, asked: &Settle) -> Result<SettleResult, StoreError>
where
    S: StockStore + ReservationStore,
    C: Clock,
{
    let wanted = match asked.wanted {
        Wanted::Release => Settlement::Release,
        Wanted::Fulfil => Settlement::Fulfil,
        Wanted::Extend { ttl_seconds } => Settlement::Extend(asked.time.plus_millis(ttl_seconds.saturating_mul(1000))),
    };
    let result = settle_reservation(deps, &asked.organization, &asked.id, wanted, asked.actor).await?;
    Ok(match (result, wanted) {
        // An extension under this key was made, to its very millisecond, before the reservation came to its end.
        (SettleResult::Conflict { reservation, .. }, Settlement::Extend(until))
            if asked.known && reservation.expires_at == until =>
        {
            SettleResult::Settled { reservation, repeated: true }
        }
        // It may yet be begun again: nobody was told that it exists.
        (SettleResult::Settled { reservation, .. } | SettleResult::Conflict { reservation, .. }, _)
            if reservation.was_refused() =>
        {
            SettleResult::Unknown
        }
        (result, _) => result,
    })
}

/// What somebody wants of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Give its units back.
    Release,
    /// Its units left the shelf.
    Fulfil,
    /// Hold its units until this time.
    Extend(Timestamp),
    /// End it if it ran out.
    Expire,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettleResult {
    /// It stands where it should.
    Settled {
        /// The reservation.
        reservation: Reservation,
        /// Whether it stood there before.
        repeated: bool,
    },
    /// It cannot, because of this state.
    Conflict {
        /// The state to name.
        state: ReservationState,
        /// The reservation as it is.
        reservation: Reservation,
    },
    /// There is no such reservation.
    Unknown,
}

/// Moves a reservation and makes its levels follow. Doing so again changes nothing.
///
/// # Errors
/// [`StoreError`] when the store fails or stays outpaced. The state may have moved; the same call goes on from there.
pub async fn settle_reservation<S, C>(
    deps: ReservationDeps<'_, S, C>,
    organization: &OrganizationId,
    id: &ReservationId,
    wanted: Settlement,
    actor: ActorCode,
) -> Result<SettleResult, StoreError>
where
    S: StockStore + ReservationStore,
    C: Clock,
{
    let step = |reservation: &Reservation, now| match wanted {
        Settlement::Release => reservation.release(now, actor),
        Settlement::Fulfil => reservation.fulfil(now, actor),
        Settlement::Extend(until) => reservation.extend(now, until, actor),
        Settlement::Expire => reservation.expire(now),
    };
    let result = advance(deps, organization, id, step).await?;
    if let SettleResult::Settled { reservation, .. } = &result {
        complete(deps, reservation).await?;
    }
    Ok(result)
}

/// Moves a reservation by one step of its state machine, however often others are faster or outcomes stay unknown.
pub(crate) async fn advance<S, C>(
    deps: ReservationDeps<'_, S, C>,
    organization: &OrganizationId,
    id: &ReservationId,
    step: impl Fn(&Reservation, Timestamp) -> Transition + Sync,
) -> Result<SettleResult, StoreError>
where
    S: ReservationStore,
    C: Clock,
{
    let mut known: Option<StoredReservation> = None;
    let mut last = None;
    for attempt in 1..=ATTEMPTS_MAX {
        match advance_once(deps, organization, id, known.take(), &step).await {
            Ok(Tried::Settled(result)) => return Ok(*result),
            Ok(Tried::Outpaced(current)) => known = current.map(|current| *current),
            Err(error) if error.is_passing() => last = Some(error),
            Err(error) => return Err(error),
        }
        deps.clock.back_off(attempt).await;
    }
    Err(last.unwrap_or_else(|| StoreError::exhausted(ATTEMPTS_MAX)))
}

/// One try at moving a reservation.
enum Tried {
    Settled(Box<SettleResult>),
    Outpaced(Option<Box<StoredReservation>>),
}

async fn advance_once<S: ReservationStore, C: Clock>(
    deps: ReservationDeps<'_, S, C>,
    organization: &OrganizationId,
    id: &ReservationId,
    known: Option<StoredReservation>,
    step: &(impl Fn(&Reservation, Timestamp) -> Transition + Sync),
) -> Result<Tried, StoreError> {
    let current = match known {
        Some(current) => Some(current),
        None => deps.store.load_reservation(organization, id).await?,
    };
    let Some(StoredReservation { rev, reservation }) = current else {
        return Ok(Tried::Settled(Box::new(SettleResult::Unknown)));
    };
    let settled = |result| Ok(Tried::Settled(Box::new(result)));
    match step(&reservation, deps.clock.now()) {
        Transition::Repeated => settled(SettleResult::Settled { reservation, repeated: true }),
        Transition::Conflict(state) => settled(SettleResult::Conflict { state, reservation }),
        Transition::Moved(next) => match deps.store.save_reservation(Some(rev), &next).await? {
            ReservationWrite::Saved => settled(SettleResult::Settled { reservation: *next, repeated: false }),
            ReservationWrite::Conflict(current) => Ok(Tried::Outpaced(current.map(Box::new))),
        },
    }
}

/// Makes the levels follow a reservation that came to its end. Every line is tried, whatever becomes of the others.
///
/// # Errors
/// [`StoreError`] when a level could not be settled; the same call goes on with it.
pub async fn complete<S: StockStore, C: Clock>(
    deps: ReservationDeps<'_, S, C>,
    reservation: &Reservation,
) -> Result<(), StoreError> {
    let mut work = Vec::new();
    for (key, event) in reservation.settlements(deps.ids) {
        work.push(follow(deps, key, event));
    }
    let done: Vec<_> = futures::stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
    done.into_iter().collect()
}

async fn follow<S: StockStore, C: Clock>(
    deps: ReservationDeps<'_, S, C>,
    key: LevelKey,
    event: StockEvent,
) -> Result<(), StoreError> {
    let wrong = |reason: String| {
        let key = format!("{}/{}/{}", key.organization, key.sku, key.location);
        Err(StoreError::Corrupt { key, reason: format!("a reservation cannot be settled here: {reason}") })
    };
    // What becomes of an undo cannot be told without reading; a settlement can be written blind.
    if !matches!(event.body, EventBody::Undo { .. }) {
        return match request(deps.store, deps.clock, &key, &event).await?.answer {
            Answer::Applied(_) => Ok(()),
            refused => wrong(format!("{refused:?}")),
        };
    }
    let result = apply_group(deps.store, deps.clock, &key, core::slice::from_ref(&event)).await;
    match (result.outcomes.first(), result.failure) {
        (Some(Outcome::Applied | Outcome::Duplicate), _) => Ok(()),
        (_, Some(failure)) => Err(failure),
        (outcome, None) => wrong(format!("{outcome:?}")),
    }
}
