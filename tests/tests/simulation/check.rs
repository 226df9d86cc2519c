//! What must hold in every world once it has come to rest: of its levels, requests, reservations and orders.

use std::collections::BTreeSet;

use evenstock_app::{MarketplaceStores, StockStore};
use evenstock_domain::{EntryKind, Past, Placed, ReservationState, Source, StockLevel, Timestamp};
use serde_json::Value;

use crate::actors::{Ask, Fact, Level, Role, Stated};
use crate::reference::{Accepted, Counted, Moved, after_count, after_merges, newest_count};
use crate::world::{World, finish};

pub(crate) fn holds(condition: bool, law: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(law()) }
}

/// A level with its whole journal, oldest first.
pub(crate) struct Book {
    pub(crate) name: String,
    pub(crate) level: StockLevel,
    pub(crate) journal: Vec<Placed>,
}

impl Book {
    fn source(&self, placed: &Placed) -> &Source {
        &self.level.sources[usize::from(placed.entry.source)]
    }
}

impl World {
    /// Looks at everything.
    pub(crate) fn audit(&mut self) -> Result<(), String> {
        self.unbroken_by_corruption()?;
        let books = self.plan.levels.iter().map(|level| self.book(level)).collect::<Result<Vec<_>, _>>()?;
        for (n, book) in books.iter().enumerate() {
            journal_is_the_level(book)?;
            self.facts_stand_once(n, book)?;
            self.requests_stand_once(n, book)?;
            self.level_is_what_it_must_be(n, book)?;
            self.met.changes += book.level.version;
        }
        self.reservations_sum_up(&books)?;
        self.nobody_was_told_otherwise()?;
        self.orders_are_as_believed()?;
        self.feed_is_the_journal(&books)?;
        self.callbacks_tell_every_event(&books)
    }

    fn unbroken_by_corruption(&self) -> Result<(), String> {
        let letters = self.outside.queues.dead(evenstock_app::QueueName::StreamDlq);
        holds(letters.is_empty(), || format!("the stream's dead letters hold {letters:?}"))
    }

    fn book(&self, level: &Level) -> Result<Book, String> {
        let memory = self.outside.store.memory();
        let name = format!("{}@{}", level.key.sku, level.key.location);
        let stored = finish(memory.load(&level.key)).map_err(|error| error.to_string())?;
        let level_now = stored.ok_or_else(|| format!("{name} is gone"))?.level;
        let past = Past::reaching(Timestamp::EPOCH, memory.pages(&level.key));
        let mut journal: Vec<_> = level_now.journal(&past).collect();
        journal.reverse();
        Ok(Book { name, level: level_now, journal })
    }

    fn facts_of(&self, n: usize) -> Vec<&Fact> {
        self.plan.facts.iter().filter(|fact| fact.level == n).collect()
    }

    /// Units that left and came as facts: at tills, and with orders as they were written down.
    fn moved_at(&self, n: usize) -> Vec<Moved> {
        let tills = self.facts_of(n).into_iter().filter_map(|fact| match fact.stated {
            Stated::Delta(units) => Some(Moved { time: fact.time, units }),
            Stated::Count(_) | Stated::Merged(_) => None,
        });
        let mut moved: Vec<_> = tills.collect();
        let key = &self.plan.levels[n].key;
        for (before, after) in self.outside.store.0.receipts.lock().unwrap().iter() {
            let lines = self.plan.orders.get(after.id.as_str()).into_iter().flatten();
            let units = lines.filter(|(at, _)| at == key).map(|(_, units)| *units);
            let was_order = before.as_ref().is_some_and(|before| before.order().is_some());
            let was_cancelled = before.as_ref().is_some_and(|before| before.cancelled_at.is_some());
            // Called off before it was imported, it never takes anything.
            if after.order().is_some() && !was_order && after.cancelled_at.is_none() {
                let time = after.answered_at.unwrap().as_millis();
                moved.extend(units.map(|units| Moved { time, units: -units }));
            } else if was_order && after.cancelled_at.is_some() && !was_cancelled {
                let time = after.cancelled_at.unwrap().as_millis();
                moved.extend(units.map(|units| Moved { time, units }));
            }
        }
        moved
    }

    /// Every delta is in the journal once, unless a count contains it; nothing else is.
    fn facts_stand_once(&self, n: usize, book: &Book) -> Result<(), String> {
        let mut expected = self.moved_at(n);
        for placed in book.journal.iter().filter(|placed| placed.entry.kind == EntryKind::Delta) {
            let found = Moved { time: placed.entry.time.as_millis(), units: placed.entry.available };
            let place = expected.iter().position(|one| *one == found);
            let place =
                place.ok_or_else(|| format!("{}: nobody stated {found:?}, or it was applied twice", book.name))?;
            expected.swap_remove(place);
        }
        let observed = book.level.observed.as_ref().map(|mark| mark.time.as_millis());
        for missing in expected {
            let contained = observed.is_some_and(|observed| missing.time <= observed);
            holds(contained, || format!("{}: {missing:?} was lost", book.name))?;
        }
        Ok(())
    }

    /// Every accepted update stands in the journal as it was answered; what nobody was told of is accounted for by a
    /// request of unknown outcome.
    fn requests_stand_once(&self, n: usize, book: &Book) -> Result<(), String> {
        let mut answered = BTreeSet::new();
        let mut in_doubt: Vec<i64> = Vec::new();
        for client in &self.plan.clients {
            let (Ask::Update { level, delta, .. } | Ask::Adjust { level, delta, .. }) = client.ask else { continue };
            if level != n {
                continue;
            }
            let mut versions = BTreeSet::new();
            for (_, body) in client.answers.iter().filter(|(status, _)| *status < 300) {
                let version = body["newVersion"].as_u64().unwrap();
                versions.insert(version);
                let entry = book.journal.iter().find(|placed| placed.version == version);
                let said = entry.is_some_and(|placed| {
                    placed.entry.kind == EntryKind::Request
                        && placed.entry.available == delta
                        && body["newQuantity"].as_i64().unwrap().max(0) == placed.available_after.max(0)
                });
                holds(said, || format!("{}: {body} was answered, and is not in the journal", book.name))?;
            }
            holds(versions.len() <= 1, || format!("{}: {:?} was answered differently", book.name, client.answers))?;
            for version in &versions {
                holds(answered.insert(*version), || format!("{}: version {version} was answered to two", book.name))?;
            }
            if versions.is_empty() && client.lost > 0 && !client.may_repeat() {
                in_doubt.push(delta);
            }
        }
        for placed in &book.journal {
            let is_update = placed.entry.kind == EntryKind::Request && placed.entry.reserved == 0;
            if is_update && !answered.contains(&placed.version) {
                let place = in_doubt.iter().position(|delta| *delta == placed.entry.available);
                let law = || format!("{}: nobody was told of version {}", book.name, placed.version);
                in_doubt.swap_remove(place.ok_or_else(law)?);
            }
        }
        Ok(())
    }

    fn level_is_what_it_must_be(&self, n: usize, book: &Book) -> Result<(), String> {
        let Level { key, role } = &self.plan.levels[n];
        let (facts, deltas) = (self.facts_of(n), self.moved_at(n));
        let is_accepted = |kind| matches!(kind, EntryKind::Request | EntryKind::Settlement);
        let accepted: Vec<_> = book.journal.iter().filter(|placed| is_accepted(placed.entry.kind)).collect();
        let accepted: Vec<_> = accepted
            .into_iter()
            .map(|placed| Accepted {
                time: placed.entry.time.as_millis(),
                version: placed.version,
                available: placed.entry.available,
                reserved: placed.entry.reserved,
            })
            .collect();
        if *role == Role::Merged {
            let expected = after_merges(&facts, &deltas, &accepted);
            let found = book.level.available;
            return holds(found == expected, || format!("{} has {found}, the reference {expected}", book.name));
        }
        let from_clients = book.journal.iter().filter_map(|placed| match placed.entry.kind {
            EntryKind::Count { stated, .. } if *book.source(placed) == Source::api() => Some(Counted {
                time: placed.entry.time.as_millis(),
                sequence: 0,
                source: "api".to_owned(),
                quantity: stated,
                on_hand: false,
            }),
            _ => None,
        });
        let from_clients: Vec<_> = from_clients.collect();
        self.syncs_asked_for(n, &from_clients)?;
        let newest = newest_count(*role, &facts, &from_clients).ok_or("a level without a count")?;
        let (mark, counted_at) = self.outside.store.observed(key).ok_or("nothing was observed")?;
        if mark.source == Source::api() && !from_clients.iter().any(|count| count.time == mark.time.as_millis()) {
            // A client's count that said what was known left no entry, so nobody knows what it said.
            return Ok(());
        }
        let found = (mark.time.as_millis(), mark.sequence, mark.source.as_str());
        let stated = (newest.time, newest.sequence, newest.source.as_str());
        holds(found == stated, || format!("{} stands on the count {found:?}, the newest is {stated:?}", book.name))?;
        let expected = after_count(&newest, counted_at, &deltas, &accepted);
        let found = if newest.on_hand { book.level.on_hand() } else { book.level.available };
        holds(found == expected, || format!("{} has {found}, the reference {expected}: {newest:?}", book.name))
    }

    /// A count of ours is one that some client asked for.
    fn syncs_asked_for(&self, n: usize, counts: &[Counted]) -> Result<(), String> {
        let location = self.plan.levels[n].key.location.as_str();
        for count in counts {
            let asked = self.plan.clients.iter().any(|client| match &client.ask {
                Ask::Sync { location: at, replace, quantities } => {
                    let named = quantities.iter().find(|(level, _)| *level == n);
                    *at == location && named.map_or(*replace && count.quantity == 0, |named| named.1 == count.quantity)
                }
                _ => false,
            });
            holds(asked, || format!("nobody asked for {count:?}"))?;
        }
        Ok(())
    }

    /// What is held is what reservations hold; what was fulfilled left the shelf once.
    fn reservations_sum_up(&mut self, books: &[Book]) -> Result<(), String> {
        let all = self.outside.store.memory().reservations();
        for (book, level) in books.iter().zip(&self.plan.levels) {
            let units = |state| -> i64 {
                let lines = all.iter().filter(|one| one.state == state).flat_map(|one| &one.lines);
                let here = lines.filter(|line| line.sku == level.key.sku && line.location == level.key.location);
                here.map(|line| line.units).sum()
            };
            let (held, reserved) = (units(ReservationState::Held), book.level.reserved);
            holds(held == reserved, || format!("{}: {reserved} reserved, reservations hold {held}", book.name))?;
            let left = book.journal.iter().filter(|placed| placed.entry.kind == EntryKind::Settlement);
            let left: i64 = left.map(|placed| placed.entry.available + placed.entry.reserved).sum();
            let fulfilled = units(ReservationState::Fulfilled);
            holds(-left == fulfilled, || format!("{}: {left} left the shelf, not {fulfilled}", book.name))?;
        }
        self.met.expired += all.iter().filter(|one| one.state == ReservationState::Expired).count() as u64;
        Ok(())
    }

    /// What clients were told of reservations is so.
    fn nobody_was_told_otherwise(&self) -> Result<(), String> {
        let all = self.outside.store.memory().reservations();
        let mut told = BTreeSet::new();
        let mut in_doubt = 0;
        for client in &self.plan.clients {
            let granted: Vec<_> = client.answers.iter().filter(|(status, _)| *status < 300).collect();
            match &client.ask {
                Ask::Reserve { .. } => {
                    let ids: BTreeSet<_> = granted.iter().map(|(_, body)| body["reservationId"].as_str()).collect();
                    holds(ids.len() <= 1, || format!("one request made the reservations {ids:?}"))?;
                    told.extend(ids);
                    in_doubt += usize::from(granted.is_empty() && client.lost > 0 && !client.may_repeat());
                }
                Ask::End { wanted, .. } if *wanted != "extend" => {
                    for (_, body) in granted {
                        let one = all.iter().find(|one| body["reservationId"] == one.id.as_str());
                        let ended = if *wanted == "fulfil" { "fulfilled" } else { "released" };
                        let so = one.is_some_and(|one| one.state.as_str() == ended);
                        holds(so, || format!("{wanted} was answered {body}, and is {one:?}"))?;
                    }
                }
                _ => {}
            }
        }
        let made = all.iter().filter(|one| one.held_at.is_some());
        let unknown = made.filter(|one| !told.contains(&Some(one.id.as_str()))).count();
        holds(unknown <= in_doubt, || format!("{unknown} reservations that nobody was told of, {in_doubt} in doubt"))?;
        let gone = told.iter().find(|id| !all.iter().any(|one| Some(one.id.as_str()) == **id && one.held_at.is_some()));
        holds(gone.is_none(), || format!("reservation {gone:?} was answered, and is not there"))
    }

    /// An order has one answer, the one that was told.
    fn orders_are_as_believed(&mut self) -> Result<(), String> {
        let mut ids = BTreeSet::new();
        for client in &self.plan.clients {
            let Ask::Import { receipt } = &client.ask else { continue };
            let told: BTreeSet<_> = client.answers.iter().filter_map(|(_, body)| body["orderId"].as_str()).collect();
            let id = evenstock_domain::ReceiptId::parse(receipt).unwrap();
            let order = self.outside.store.receipt(&self.store, &id).and_then(|one| one.order().cloned());
            let believed = told.iter().all(|told| order.as_ref().is_some_and(|order| order.order_id == **told));
            holds(believed, || format!("{receipt} was told as {told:?} and is {order:?}"))?;
            ids.extend(order.map(|order| order.order_id));
        }
        let of = finish(self.outside.store.memory().load_store(&self.store)).map_err(|error| error.to_string())?;
        holds(of.is_some(), || "the store is gone".to_owned())?;
        self.met.orders += ids.len() as u64;
        Ok(())
    }
}

fn journal_is_the_level(book: &Book) -> Result<(), String> {
    let Book { name, level, journal } = book;
    let (mut available, mut reserved, mut seen) = (0, 0, BTreeSet::new());
    for (placed, version) in journal.iter().zip(1..) {
        available += placed.entry.available;
        reserved += placed.entry.reserved;
        holds(placed.version == version, || format!("{name}: version {version} is missing"))?;
        holds(placed.available_after == available, || format!("{name}: quantity after version {version}"))?;
        holds(seen.insert(placed.entry.id), || format!("{name}: {:?} was applied twice", placed.entry.id))?;
    }
    let whole = journal.len() as u64 == level.version;
    holds(whole, || format!("{name}: {} entries for {} versions", journal.len(), level.version))?;
    let sum = (available, reserved);
    holds(sum == (level.available, level.reserved), || format!("{name}: the journal's sum is {sum:?}"))
}

pub(crate) fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_default()
}
