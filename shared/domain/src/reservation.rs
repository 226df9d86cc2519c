//! Reservations: units held for an order, at one or many levels, until they are released, fulfilled or expire.
//!
//! Owns the state machine and the events that make the levels follow it. The state moves first, by one conditional
//! write; each event has an id of its own, so the levels may follow as often as somebody likes. Must not know how
//! either is stored.

use sha2::{Digest, Sha256};

use crate::{
    ActorCode, EventBody, EventIdKey, LevelKey, Line, OrderId, OrganizationId, ReservationId, Source, StockEvent,
    Timestamp,
};

/// The longest time that units may be held without an extension, in seconds: 30 days.
pub const TTL_SECONDS_MAX: i64 = 30 * 24 * 60 * 60;

/// Groups that reservations are spread over, so that no key of the index of due ones is hot.
pub const DUE_BUCKETS: u8 = 16;

/// How long a reservation may be in the making, in milliseconds: twice the longest function timeout. Its maker is gone
/// by then, or will find out that it came too late.
const PENDING_MAX_MS: i64 = 2 * 60 * 1000;

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationState {
    /// In the making: some of its units may be held.
    Pending,
    /// All of its units are held.
    Held,
    /// Given up; its units can be sold.
    Released,
    /// Its units left the shelf.
    Fulfilled,
    /// It ran out; its units can be sold.
    Expired,
}

impl ReservationState {
    /// The state's name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Released => "released",
            Self::Fulfilled => "fulfilled",
            Self::Expired => "expired",
        }
    }

    /// Reads a state's name.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Pending, Self::Held, Self::Released, Self::Fulfilled, Self::Expired];
        all.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether nothing can follow any more.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Released | Self::Fulfilled | Self::Expired)
    }
}

/// What a step comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// The reservation as it should be stored.
    Moved(Box<Reservation>),
    /// It stands there already.
    Repeated,
    /// It cannot, because of this state.
    Conflict(ReservationState),
}

/// Units held for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The tenant.
    pub organization: OrganizationId,
    /// Its name.
    pub id: ReservationId,
    /// The order that it is for.
    pub order_id: Option<OrderId>,
    /// What is held, one line a level.
    pub lines: Vec<Line>,
    /// Where it stands.
    pub state: ReservationState,
    /// How often it was begun before: one that was refused may be begun again, with other event ids.
    pub attempt: u32,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it runs out.
    pub expires_at: Timestamp,
    /// When all its units were first known to be held; `None` when they never were.
    pub held_at: Option<Timestamp>,
    /// When it came to its end.
    pub settled_at: Option<Timestamp>,
    /// Who brought it to this state.
    pub actor: ActorCode,
}

impl Reservation {
    /// Begins a reservation of summed lines.
    pub fn begin(
        organization: OrganizationId,
        id: ReservationId,
        order_id: Option<OrderId>,
        lines: Vec<Line>,
        now: Timestamp,
        ttl_seconds: i64,
        actor: ActorCode,
    ) -> Self {
        Self {
            organization,
            id,
            order_id,
            lines,
            state: ReservationState::Pending,
            attempt: 0,
            created_at: now,
            expires_at: expiry(now, ttl_seconds),
            held_at: None,
            settled_at: None,
            actor,
        }
    }

    /// Its group in the index of due reservations.
    pub fn due_bucket(&self) -> u8 {
        let digest = Sha256::digest(self.id.as_str().as_bytes());
        digest.first().map_or(0, |byte| byte % DUE_BUCKETS)
    }

    /// When somebody must look at it; `None` once it has come to its end.
    pub const fn due_at(&self) -> Option<Timestamp> {
        match self.state {
            ReservationState::Pending => Some(self.created_at.plus_millis(PENDING_MAX_MS)),
            ReservationState::Held => Some(self.expires_at),
            ReservationState::Released | ReservationState::Fulfilled | ReservationState::Expired => None,
        }
    }

    /// Whether it came to its end without ever being held, so that it may be begun again.
    pub fn was_refused(&self) -> bool {
        self.state == ReservationState::Released && self.held_at.is_none()
    }

    /// All units are held.
    pub fn hold(&self, now: Timestamp) -> Transition {
        match self.state {
            ReservationState::Pending => {
                self.moved(|next| (next.state, next.held_at) = (ReservationState::Held, Some(now)))
            }
            ReservationState::Held => Transition::Repeated,
            state => Transition::Conflict(state),
        }
    }

    /// Some units are not to be had.
    pub fn refuse(&self, now: Timestamp) -> Transition {
        match self.state {
            ReservationState::Pending => self.ended(ReservationState::Released, now, self.actor),
            ReservationState::Released if self.was_refused() => Transition::Repeated,
            state => Transition::Conflict(state),
        }
    }

    /// Begins a refused reservation again, under new event ids.
    pub fn restart(&self, now: Timestamp, ttl_seconds: i64, actor: ActorCode) -> Transition {
        match self.state {
            ReservationState::Released if self.was_refused() => self.moved(|next| {
                next.state = ReservationState::Pending;
                next.attempt = next.attempt.saturating_add(1);
                (next.created_at, next.expires_at) = (now, expiry(now, ttl_seconds));
                (next.settled_at, next.actor) = (None, actor);
            }),
            ReservationState::Pending => Transition::Repeated,
            state => Transition::Conflict(state),
        }
    }

    /// Gives held units back.
    pub fn release(&self, now: Timestamp, actor: ActorCode) -> Transition {
        match self.state {
            ReservationState::Held => self.ended(ReservationState::Released, now, actor),
            ReservationState::Released => Transition::Repeated,
            state => Transition::Conflict(state),
        }
    }

    /// The held units left the shelf.
    pub fn fulfil(&self, now: Timestamp, actor: ActorCode) -> Transition {
        match self.state {
            ReservationState::Held if now < self.expires_at => self.ended(ReservationState::Fulfilled, now, actor),
            ReservationState::Held => Transition::Conflict(ReservationState::Expired),
            ReservationState::Fulfilled => Transition::Repeated,
            state => Transition::Conflict(state),
        }
    }

    /// Holds the units until `until`; never shorter than before.
    pub fn extend(&self, now: Timestamp, until: Timestamp, actor: ActorCode) -> Transition {
        match self.state {
            ReservationState::Held if self.expires_at <= now => Transition::Conflict(ReservationState::Expired),
            ReservationState::Held if self.expires_at >= until => Transition::Repeated,
            ReservationState::Held => self.moved(|next| (next.expires_at, next.actor) = (until, actor)),
            state => Transition::Conflict(state),
        }
    }

    /// Ends what has run out: held units are given back, one that stayed in the making is given up.
    pub fn expire(&self, now: Timestamp) -> Transition {
        let nobody = ActorCode::default();
        match self.state {
            ReservationState::Held if self.expires_at <= now => self.ended(ReservationState::Expired, now, nobody),
            ReservationState::Pending if self.due_at().is_some_and(|due| due <= now) => {
                self.ended(ReservationState::Released, now, nobody)
            }
            ReservationState::Expired => Transition::Repeated,
            state => Transition::Conflict(state),
        }
    }

    fn moved(&self, change: impl FnOnce(&mut Self)) -> Transition {
        let mut next = self.clone();
        change(&mut next);
        Transition::Moved(Box::new(next))
    }

    fn ended(&self, state: ReservationState, now: Timestamp, actor: ActorCode) -> Transition {
        self.moved(|next| (next.state, next.settled_at, next.actor) = (state, Some(now.max(self.created_at)), actor))
    }

    /// The requests that reserve its lines, in order.
    pub fn reserves(&self, ids: &EventIdKey, expected_version: Option<u64>) -> Vec<(LevelKey, StockEvent)> {
        self.events(ids, self.created_at, |_, units| {
            ("reserve", EventBody::Request { available: -units, reserved: units, expected_version })
        })
    }

    /// What the levels must follow with, now that the reservation has come to its end; nothing before.
    ///
    /// A release, an expiry and an undo share one id: whoever comes first gives the units back, and nobody after.
    pub fn settlements(&self, ids: &EventIdKey) -> Vec<(LevelKey, StockEvent)> {
        let Some(settled_at) = self.settled_at.filter(|_| self.state.is_end()) else {
            return Vec::new();
        };
        let fulfilled = self.state == ReservationState::Fulfilled;
        self.events(ids, settled_at, |place, units| match (fulfilled, self.held_at) {
            (true, _) => ("fulfil", EventBody::Settlement { available: 0, reserved: -units }),
            (false, Some(_)) => ("release", EventBody::Settlement { available: units, reserved: -units }),
            // Nobody knows which lines its maker reserved, or still will.
            (false, None) => {
                let reserve = ids.event_id(&self.event_name(place, "reserve"));
                ("release", EventBody::Undo { reserve, reserved_at: self.created_at, units })
            }
        })
    }

    fn event_name(&self, place: usize, what: &str) -> String {
        format!("reservation/{}/{}/{place}/{what}", self.id, self.attempt)
    }

    fn events(
        &self,
        ids: &EventIdKey,
        time: Timestamp,
        says: impl Fn(usize, i64) -> (&'static str, EventBody),
    ) -> Vec<(LevelKey, StockEvent)> {
        let event = |(place, line): (usize, &Line)| {
            let (what, body) = says(place, line.units);
            let id = ids.event_id(&self.event_name(place, what));
            let (organization, sku, location) = (self.organization.clone(), line.sku.clone(), line.location.clone());
            let key = LevelKey { organization, sku, location };
            (key, StockEvent { id, time, source: Source::api(), actor: self.actor, body })
        };
        self.lines.iter().enumerate().map(event).collect()
    }
}

/// When units that are held from `now` on run out.
const fn expiry(now: Timestamp, ttl_seconds: i64) -> Timestamp {
    now.plus_millis(ttl_seconds.saturating_mul(1000))
}
