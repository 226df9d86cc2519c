//! What can happen to a stock level, and the identity by which a repetition is recognized.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

#[cfg(doc)]
use crate::EntryKind;
use crate::{ActorCode, Delta, Quantity, Source, Timestamp};

/// The deployment's secret for event ids, so that no sender can forge two events that collide.
#[derive(Clone)]
pub struct EventIdKey(Vec<u8>);

impl EventIdKey {
    /// A key from its bytes; 16 or more random ones are expected.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The id of the event that `name` names within its level. The same name gives the same id for as long as the key
    /// stays, so the key is never changed in a living deployment.
    pub fn event_id(&self, name: &str) -> EventId {
        let mut id = [0; 8];
        // HMAC takes keys of any length, so this has no failing path.
        if let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0) {
            mac.update(name.as_bytes());
            id.copy_from_slice(mac.finalize().into_bytes().get(..8).unwrap_or(&[0; 8]));
        }
        EventId(id)
    }
}

/// Shows that a key is there, never the key.
impl core::fmt::Debug for EventIdKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("EventIdKey([redacted])")
    }
}

/// Identifies an event within its level: an 8-byte keyed hash of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub [u8; 8]);

/// What a count counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// Units that can still be sold, as marketplaces state them.
    Available,
    /// Units that lie on the shelf, reserved ones included, as warehouses state them.
    OnHand,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventBody {
    /// Something that we may refuse: an API decrement, a reservation.
    Request {
        /// Change of available units.
        available: i64,
        /// Change of reserved units.
        reserved: i64,
        /// The version that the caller believes to be current; `None` for whatever it is.
        expected_version: Option<u64>,
    },
    /// A fact: units that left or came, whether we like it or not.
    Delta(Delta),
    /// The same as [`EventBody::Delta`], by the decision of somebody who looked at it: it is not refused for its age.
    ForcedDelta(Delta),
    /// A fact: the end of a reservation (released, fulfilled). Never refused and never absorbed by a count, because a
    /// count knows nothing of reservations.
    Settlement {
        /// Change of available units.
        available: i64,
        /// Change of reserved units.
        reserved: i64,
    },
    /// A fact: a reservation was given up before it was known to be held. Gives its units back if it was made here;
    /// if it was not, a [`EntryKind::Void`] entry under its id makes a late one a repetition.
    Undo {
        /// The id of the request that reserves.
        reserve: EventId,
        /// That request's time, from which on the journal is searched for it.
        reserved_at: Timestamp,
        /// Units that it reserves.
        units: i64,
    },
    /// An observation by the level's authority: the quantity *is* this, as of the event's time.
    Count {
        /// The number stated.
        quantity: Quantity,
        /// What it counts.
        means: Means,
        /// Breaks ties between observations of one millisecond: a log position, or a run and row number.
        sequence: u64,
    },
    /// A warehouse's count that contradicts what was known, and what was decided about it. Always of what lies on hand.
    Contested {
        /// The number stated.
        quantity: Quantity,
        /// Breaks ties, as for [`EventBody::Count`].
        sequence: u64,
        /// Whether it counts, although our own word on the level may be newer. If not, it is only remembered as what
        /// the warehouse said last.
        stands: bool,
    },
    /// An observation by a marketplace that also sells: only its difference to what the same source said before is
    /// taken over, so that it cannot undo a sale made elsewhere.
    Merged {
        /// The number stated.
        quantity: Quantity,
        /// Breaks ties, as for [`EventBody::Count`].
        sequence: u64,
    },
}

impl EventBody {
    /// Four bytes that differ for different contents, by which an id that was used twice is found out. Leaves out the
    /// sequence and the expected version: they belong to the delivery.
    pub fn fingerprint(&self) -> [u8; 4] {
        let (tag, first, second) = match *self {
            Self::Request { available, reserved, .. } => (1_u8, available, reserved),
            // The same content, however it was let in.
            Self::Delta(delta) | Self::ForcedDelta(delta) => (2, delta.get(), 0),
            Self::Settlement { available, reserved } => (3, available, reserved),
            // The same content as that of a held reservation's release, which gives back as much.
            Self::Undo { units, .. } => (3, units, units.saturating_neg()),
            Self::Count { quantity, means: Means::Available, .. } => (4, quantity.get(), 0),
            Self::Count { quantity, means: Means::OnHand, .. } => (5, quantity.get(), 0),
            // The same content as that of the count which it is.
            Self::Contested { quantity, .. } => (5, quantity.get(), 0),
            Self::Merged { quantity, .. } => (6, quantity.get(), 0),
        };
        let mut hash = Sha256::new();
        hash.update([tag]);
        hash.update(first.to_be_bytes());
        hash.update(second.to_be_bytes());
        let digest = hash.finalize();
        let mut short = [0; 4];
        short.copy_from_slice(digest.get(..4).unwrap_or(&[0; 4]));
        short
    }
}

/// Something that happened, or is asked for, at one stock level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockEvent {
    /// By which a repetition is recognized; a function of the event, never of its delivery.
    pub id: EventId,
    /// When it happened, by its source's clock; for requests the creation of their idempotency record, else now.
    pub time: Timestamp,
    /// Who says so.
    pub source: Source,
    /// Which key acted, for requests.
    pub actor: ActorCode,
    /// What it says.
    pub body: EventBody,
}

impl StockEvent {
    /// The earliest time of an entry that decides what becomes of this event.
    pub(crate) fn looks_back_to(&self) -> Timestamp {
        match self.body {
            EventBody::Undo { reserved_at, .. } => self.time.min(reserved_at),
            _ => self.time,
        }
    }
}
