//! What must have been told to everybody who follows: the feed is the journal, and the endpoint heard of every event.

use std::collections::{BTreeMap, BTreeSet};

use evenstock_app::{Behind, changes_behind};
use evenstock_domain::{FeedEvent, Past, Receipt, ReservationState, Timestamp, changes_since};
use serde_json::Value;

use crate::actors::LOW_STOCK;
use crate::check::{Book, holds, text};
use crate::functions::organization;
use crate::world::{World, finish};

/// What an event is about: its kind, and what names it.
type Subject = (String, String);

impl World {
    fn feed(&self) -> Result<Vec<FeedEvent>, String> {
        let now = Timestamp::EPOCH.plus_millis(self.nature.now());
        let mut all: Vec<FeedEvent> = Vec::new();
        loop {
            let offset = all.last().map_or(0, |event| event.seq);
            let read = finish(changes_behind(self.outside.store.memory(), &organization(), offset, 50, now));
            match read.map_err(|error| error.to_string())? {
                Behind::Events { events, .. } if events.is_empty() => return Ok(all),
                Behind::Events { events, .. } => all.extend(events),
                other => return Err(format!("the feed behind {offset} is {other:?}")),
            }
        }
    }

    /// Every change once, in the order of its level, numbered without gaps.
    pub(crate) fn feed_is_the_journal(&self, books: &[Book]) -> Result<(), String> {
        let feed = self.feed()?;
        for (event, seq) in feed.iter().zip(1..) {
            holds(event.seq == seq, || format!("number {seq} of the feed is {}", event.seq))?;
        }
        let mut count = 0;
        for (book, level) in books.iter().zip(&self.plan.levels) {
            let key = &level.key;
            let past = Past::reaching(Timestamp::EPOCH, self.outside.store.memory().pages(key));
            let journal = changes_since((&key.sku, &key.location), 0, &book.level, &past);
            let told = feed.iter().filter(|event| event.change.sku == key.sku && event.change.location == key.location);
            let mut told: Vec<_> = told.map(|event| event.change.clone()).collect();
            let in_order = told.is_sorted_by_key(|change| change.version);
            told.sort_by_key(|change| change.version);
            count += told.len();
            holds(told == journal, || {
                let versions = |changes: &[evenstock_domain::Change]| {
                    changes.iter().map(|change| change.version).collect::<Vec<_>>()
                };
                format!("{}: the feed tells {:?}, the journal {:?}", book.name, versions(&told), versions(&journal))
            })?;
            holds(in_order, || format!("{}: the feed tells its changes out of order", book.name))?;
        }
        holds(count == feed.len(), || format!("{} changes in the feed are of no level", feed.len() - count))
    }

    /// The endpoint heard of everything that happened, of each event under one id and with one body.
    pub(crate) fn callbacks_tell_every_event(&mut self, books: &[Book]) -> Result<(), String> {
        let heard = self.outside.endpoint.heard();
        self.met.calls += heard.len() as u64;
        let mut ids: BTreeMap<Subject, &str> = BTreeMap::new();
        let mut bodies: BTreeMap<&str, &str> = BTreeMap::new();
        for (id, body) in &heard {
            let parsed: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
            holds(text(&parsed, "eventId") == id, || format!("{body} came as {id}"))?;
            let known = *bodies.entry(id).or_insert(body);
            // A receipt's row goes on after its event: every try tells it as it was when the event was announced.
            let about_stock = text(&parsed, "event").starts_with("stock.");
            holds(known == body || !about_stock, || format!("{id} came as {known} and as {body}"))?;
            let known = *ids.entry(subject(&parsed)).or_insert(id);
            holds(known == id, || format!("{:?} came as {known} and as {id}", subject(&parsed)))?;
        }
        for expected in self.events(books)? {
            holds(ids.contains_key(&expected), || format!("nobody was told of {expected:?}"))?;
        }
        let distinct: BTreeSet<_> = ids.values().collect();
        holds(distinct.len() == ids.len(), || "two events have one id".to_owned())
    }

    fn events(&self, books: &[Book]) -> Result<Vec<Subject>, String> {
        let mut events = Vec::new();
        for event in self.feed()? {
            let change = &event.change;
            let what = format!("{} {} {}", change.sku, change.location, change.version);
            let (before, after) = (change.quantity - change.delta, change.quantity);
            events.push(("stock.changed".to_owned(), what.clone()));
            if before > LOW_STOCK && after <= LOW_STOCK && self.knew_threshold(books, change) {
                events.push(("stock.low".to_owned(), what.clone()));
            }
            if before >= 0 && after < 0 {
                events.push(("stock.oversold".to_owned(), what));
            }
        }
        for one in self.outside.store.memory().reservations() {
            if one.state == ReservationState::Expired {
                events.push(("reservation.expired".to_owned(), one.id.to_string()));
            }
        }
        for receipt in self.outside.store.memory().receipts() {
            let Receipt { id, short, .. } = &receipt;
            if receipt.order().is_some() {
                events.push(("order.imported".to_owned(), id.to_string()));
            }
            if *short {
                events.push(("order.short".to_owned(), id.to_string()));
            }
        }
        Ok(events)
    }

    /// The first changes came before anybody set a threshold.
    fn knew_threshold(&self, books: &[Book], change: &evenstock_domain::Change) -> bool {
        let first = |book: &&Book| book.name == format!("{}@{}", change.sku, change.location);
        books.iter().find(first).is_some_and(|_| change.version > 1)
    }
}

fn subject(body: &Value) -> Subject {
    let (event, data) = (text(body, "event"), &body["data"]);
    let what = match event.split('.').next() {
        Some("stock") => {
            format!("{} {} {}", text(data, "productId"), text(data, "storeId"), data["newVersion"])
        }
        Some("reservation") => text(data, "reservationId").to_owned(),
        Some("order") => text(data, "receipt").to_owned(),
        _ => text(data, "runId").to_owned(),
    };
    (event.to_owned(), what)
}
