//! What a level must come to: plain sums over what happened outside and over what was accepted, with nothing of the
//! product's own arithmetic.
//!
//! For an authority's level: its newest count, the deltas with a later time, and the requests that are later or were
//! decided after it. For a merged level: what it was first, what each marketplace's number moved by since, all deltas and
//! all requests.

use crate::actors::{Fact, Role, Stated};

/// What the newest count is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Counted {
    pub(crate) time: i64,
    pub(crate) sequence: u64,
    pub(crate) source: String,
    pub(crate) quantity: i64,
    /// Whether it counts what lies on the shelf.
    pub(crate) on_hand: bool,
}

/// A request, or the end of a reservation, that was accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) time: i64,
    /// The level's version that it made.
    pub(crate) version: u64,
    pub(crate) available: i64,
    pub(crate) reserved: i64,
}

/// Units that left or came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) time: i64,
    pub(crate) units: i64,
}

/// The facts' counts of a level, and those that were accepted from clients.
pub(crate) fn newest_count(role: Role, facts: &[&Fact], accepted: &[Counted]) -> Option<Counted> {
    let stated = facts.iter().filter_map(|fact| match fact.stated {
        Stated::Count(quantity) => Some(Counted {
            time: fact.time,
            sequence: fact.sequence,
            source: fact.source.to_owned(),
            quantity,
            on_hand: role == Role::OnHand,
        }),
        Stated::Merged(_) | Stated::Delta(_) => None,
    });
    stated.chain(accepted.iter().cloned()).max()
}

/// Units available, or on the shelf, as the count counts them.
pub(crate) fn after_count(newest: &Counted, counted_at: u64, deltas: &[Moved], accepted: &[Accepted]) -> i64 {
    let later = accepted.iter().filter(|one| one.time > newest.time || one.version > counted_at);
    let effect = |one: &Accepted| if newest.on_hand { one.available + one.reserved } else { one.available };
    let sold: i64 = deltas.iter().filter(|one| one.time > newest.time).map(|one| one.units).sum();
    newest.quantity + sold + later.map(effect).sum::<i64>()
}

/// Units available at a level whose marketplaces sell too.
pub(crate) fn after_merges(facts: &[&Fact], deltas: &[Moved], accepted: &[Accepted]) -> i64 {
    let mut available = 0;
    for (place, source) in ["etsy/m1", "shopify/m2"].into_iter().enumerate() {
        let of_source = facts.iter().filter(|fact| fact.source == source);
        let stated = of_source.filter_map(|fact| match fact.stated {
            Stated::Merged(quantity) => Some((fact.time, fact.sequence, quantity)),
            Stated::Count(_) | Stated::Delta(_) => None,
        });
        let all: Vec<_> = stated.collect();
        let (first, newest) = (all.iter().min(), all.iter().max());
        let (Some(first), Some(newest)) = (first, newest) else { continue };
        // The first word of the first one set the level; of the other it was a base.
        available += if place == 0 { newest.2 } else { newest.2 - first.2 };
    }
    let sold: i64 = deltas.iter().map(|one| one.units).sum();
    available + sold + accepted.iter().map(|one| one.available).sum::<i64>()
}
