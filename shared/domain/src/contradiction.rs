//! When a warehouse's change contradicts what we know, and who is right then.

use crate::{EventBody, Source, StockEvent, StockLevel};

/// Who is right when a warehouse and we disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictPolicy {
    /// The warehouse's number counts.
    WarehouseWins,
    /// Our number stays.
    CentralWins,
    /// Our number stays until somebody decides.
    Manual,
}

impl ConflictPolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::WarehouseWins, Self::CentralWins, Self::Manual];

    /// Its name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WarehouseWins => "warehouse_wins",
            Self::CentralWins => "central_wins",
            Self::Manual => "manual",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == text)
    }
}

/// In what somebody else and we differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Contradiction {
    /// The quantity that it begins with is not the last one that we know of the warehouse: a change was lost, or comes
    /// out of order.
    Before,
    /// We set the level ourselves after it.
    OlderThanSet,
    /// The central system that we push to holds another quantity than it should.
    CentralDiffers,
    /// The central system that we push to refuses a change.
    CentralRefuses,
}

impl Contradiction {
    /// Its name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before_differs",
            Self::OlderThanSet => "older_than_set",
            Self::CentralDiffers => "central_differs",
            Self::CentralRefuses => "central_refuses",
        }
    }

    /// Whether it is with the central system that we push to, not with a warehouse.
    pub const fn is_central(self) -> bool {
        matches!(self, Self::CentralDiffers | Self::CentralRefuses)
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Before, Self::OlderThanSet, Self::CentralDiffers, Self::CentralRefuses];
        all.into_iter().find(|known| known.as_str() == text)
    }
}

/// What a warehouse's count contradicts, if anything. `before` is the quantity that the warehouse says it changed;
/// `None` when it does not say.
///
/// A repetition contradicts nothing, nor does a count that the warehouse itself overtook, nor one of the quantity that
/// we know already: the two sides agree on what is there.
pub fn contradiction(level: &StockLevel, event: &StockEvent, before: Option<i64>) -> Option<Contradiction> {
    let EventBody::Count { quantity, sequence, .. } = event.body else {
        return None;
    };
    let counted = level.counted.as_ref();
    let overtaken =
        counted.is_some_and(|counted| (event.time, sequence, event.id) <= (counted.time, counted.sequence, counted.id));
    if overtaken || level.recent.iter().any(|entry| entry.id == event.id) {
        return None;
    }
    let api = Source::api();
    if level.observed.as_ref().is_some_and(|observed| observed.source == api && event.time <= observed.time) {
        return Some(Contradiction::OlderThanSet);
    }
    let known = counted.map(|counted| counted.quantity)?;
    (known != quantity.get() && before.is_some_and(|before| before != known)).then_some(Contradiction::Before)
}
