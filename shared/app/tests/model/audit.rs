//! What must hold in every world once it has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use evenstock_domain::{EntryKind, EventBody, EventId, Means, Page, Past, Placed, StockEvent, StockLevel, Timestamp};

use crate::world::Answers;

/// A law that does not hold.
#[derive(Debug)]
pub(crate) struct Hole(pub(crate) String);

impl std::fmt::Display for Hole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn holds(condition: bool, law: impl FnOnce() -> String) -> Result<(), Hole> {
    if condition { Ok(()) } else { Err(Hole(law())) }
}

/// Looks at a level, its pages, the facts that happened and the answers that were given.
pub(crate) fn audit(level: &StockLevel, pages: Vec<Page>, facts: &[StockEvent], answers: &Answers) -> Result<(), Hole> {
    pages_agree(level, &pages)?;
    let past = Past::reaching(Timestamp::EPOCH, pages);
    holds(past.adjoins(level), || "the pages do not adjoin".to_owned())?;
    let mut journal: Vec<_> = level.journal(&past).collect();
    journal.reverse();
    journal_is_the_level(level, &journal)?;
    each_event_once(&journal)?;
    no_fact_lost(level, &journal, facts)?;
    equal_answers(&journal, answers)?;
    newest_count_and_what_came_after(level, &journal, facts)
}

/// A page may repeat what the level still holds, and then says the same.
fn pages_agree(level: &StockLevel, pages: &[Page]) -> Result<(), Hole> {
    let first = level.first_recent_version();
    for page in pages {
        for (version, entry) in (page.first_version..).zip(&page.entries) {
            if version >= first {
                let place = usize::try_from(version - first).unwrap();
                holds(level.recent.get(place) == Some(entry), || format!("a page holds another version {version}"))?;
            }
        }
    }
    Ok(())
}

fn journal_is_the_level(level: &StockLevel, journal: &[Placed]) -> Result<(), Hole> {
    let (mut available, mut reserved) = (0, 0);
    for (placed, version) in journal.iter().zip(1..) {
        available += placed.entry.available;
        reserved += placed.entry.reserved;
        holds(placed.version == version, || format!("version {version} is missing"))?;
        holds(placed.available_after == available, || format!("quantity after version {version}"))?;
        let takes = placed.entry.kind == EntryKind::Request && placed.entry.available < 0;
        holds(!takes || available >= 0, || format!("a request took version {version} below zero"))?;
    }
    holds((available, reserved) == (level.available, level.reserved), || {
        "the journal's sum is not the level".to_owned()
    })?;
    holds(journal.len() as u64 == level.version, || "the journal is not whole".to_owned())
}

fn each_event_once(journal: &[Placed]) -> Result<(), Hole> {
    let mut seen = BTreeSet::new();
    for placed in journal {
        holds(seen.insert(placed.entry.id), || format!("{:?} was applied twice", placed.entry.id))?;
    }
    Ok(())
}

/// A delta is in the journal, unless a count contains it.
fn no_fact_lost(level: &StockLevel, journal: &[Placed], facts: &[StockEvent]) -> Result<(), Hole> {
    let applied: BTreeSet<EventId> = journal.iter().map(|placed| placed.entry.id).collect();
    let observed = level.observed.as_ref().map(|mark| mark.time);
    for fact in facts.iter().filter(|fact| matches!(fact.body, EventBody::Delta(_))) {
        let contained = observed.is_some_and(|observed| fact.time <= observed);
        holds(applied.contains(&fact.id) || contained, || format!("a fact of {} was lost", fact.time))?;
    }
    Ok(())
}

/// Whatever was answered to a key was always the same, and is what the journal says.
fn equal_answers(journal: &[Placed], answers: &Answers) -> Result<(), Hole> {
    let mut first = BTreeMap::new();
    for (key, version, available) in answers {
        let known = first.entry(key).or_insert((version, available));
        holds(*known == (version, available), || format!("{key} was answered differently"))?;
        let entry = journal.iter().find(|placed| placed.version == *version);
        holds(entry.is_some_and(|placed| placed.available_after == *available), || {
            format!("{key} is not in the journal")
        })?;
    }
    Ok(())
}

/// The order-independent truth: the newest count, the deltas after it, and the requests that were accepted after it in
/// time or in the journal.
fn newest_count_and_what_came_after(level: &StockLevel, journal: &[Placed], facts: &[StockEvent]) -> Result<(), Hole> {
    let count = |fact: &StockEvent| match fact.body {
        EventBody::Count { quantity, means, .. } => {
            Some((fact.time, fact.source.clone(), fact.id, quantity.get(), means))
        }
        _ => None,
    };
    let newest = facts.iter().filter_map(count).max_by_key(|count| (count.0, count.1.clone(), count.2));
    let (time, _, id, stated, means) = newest.ok_or_else(|| Hole("a world without a count".to_owned()))?;
    let deltas = facts.iter().filter(|fact| fact.time > time).map(|fact| match fact.body {
        EventBody::Delta(delta) => delta.get(),
        _ => 0,
    });
    // A count that said what was known has no entry; then only time tells what came after it.
    let counted_at = journal.iter().find(|placed| placed.entry.id == id).map(|placed| placed.version);
    let requests = journal.iter().filter(|placed| placed.entry.kind == EntryKind::Request);
    let later =
        |placed: &&Placed| placed.entry.time > time || counted_at.is_some_and(|counted_at| placed.version > counted_at);
    let on_hand = |placed: &Placed| placed.entry.available + placed.entry.reserved;
    let expected = stated + deltas.sum::<i64>() + requests.filter(later).map(on_hand).sum::<i64>();
    let found = match means {
        Means::Available => level.available,
        Means::OnHand => level.on_hand(),
    };
    if counted_at.is_none() {
        return Ok(());
    }
    holds(found == expected, || format!("{means:?} is {found}, the facts say {expected}"))
}
