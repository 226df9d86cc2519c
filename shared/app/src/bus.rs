//! The bus: the same announcements as callbacks, for whatever runs beside us in the operator's own account.
//!
//! Owns which kinds of events go there. Must not know who listens.

use core::future::Future;
use core::str::FromStr;
use std::collections::BTreeSet;

use evenstock_domain::EventType;

use crate::{Announcement, FrozenEvent};

/// Why events could not be put on the bus. Some of them may be there: putting all of them again is harmless, because
/// listeners know an event by its `eventId`.
#[derive(Debug, thiserror::Error)]
#[error("the bus did not take the events")]
pub struct BusError(#[source] pub Box<dyn core::error::Error + Send + Sync>);

/// An event bus.
pub trait Bus: Send + Sync {
    /// Puts events there, each under its kind's [`EventType::bus_name`] and with its body as the detail.
    fn put(&self, events: &[FrozenEvent]) -> impl Future<Output = Result<(), BusError>> + Send;
}

/// The kinds of events that go to the bus. None, unless somebody says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BusEvents(BTreeSet<EventType>);

/// A text that names no kinds of events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no event")]
pub struct UnknownBusEvent(String);

impl BusEvents {
    /// Whether nothing goes there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether events of this kind go there.
    pub fn contains(&self, event: EventType) -> bool {
        self.0.contains(&event)
    }
}

/// Reads names as callbacks have them, separated by commas, or `*` for all. The empty text is none at all.
impl FromStr for BusEvents {
    type Err = UnknownBusEvent;

    fn from_str(text: &str) -> Result<Self, UnknownBusEvent> {
        match text.trim() {
            "" => Ok(Self::default()),
            "*" => Ok(Self(EventType::ALL.into())),
            names => {
                let parse = |name: &str| EventType::parse(name).ok_or_else(|| UnknownBusEvent(name.to_owned()));
                names.split(',').map(str::trim).map(parse).collect::<Result<_, _>>().map(Self)
            }
        }
    }
}

/// A bus, and what goes there.
#[derive(Debug, Clone)]
pub struct BusOutlet<B> {
    /// The bus.
    pub bus: B,
    /// The kinds of events that it is given.
    pub events: BusEvents,
}

/// Puts those announcements on the bus that belong there; how many. Without any there is no call.
///
/// # Errors
/// [`BusError`]; some may be there, and putting them again is harmless.
pub async fn put_on_bus<B: Bus>(outlet: &BusOutlet<B>, announcements: &[Announcement]) -> Result<usize, BusError> {
    let chosen = announcements.iter().filter(|announcement| outlet.events.contains(announcement.event));
    let events: Vec<_> = chosen.map(FrozenEvent::of).collect();
    if !events.is_empty() {
        outlet.bus.put(&events).await?;
    }
    Ok(events.len())
}

#[cfg(test)]
mod tests {
    use evenstock_domain::{OrganizationId, Timestamp};
    use rstest::rstest;

    use super::*;
    use crate::testing::MemoryBus;

    #[rstest]
    #[case("", &[])]
    #[case(" ", &[])]
    #[case("*", &EventType::ALL)]
    #[case("stock.low", &[EventType::StockLow])]
    #[case("stock.low, order.short,stock.low", &[EventType::StockLow, EventType::OrderShort])]
    fn chosen_events_are_named_as_callbacks_name_them(#[case] text: &str, #[case] expected: &[EventType]) {
        let events: BusEvents = text.parse().unwrap();
        let chosen = EventType::ALL.into_iter().filter(|event| events.contains(*event));
        assert_eq!(chosen.collect::<BTreeSet<_>>(), expected.iter().copied().collect());
        assert_eq!(events.is_empty(), expected.is_empty());
    }

    #[rstest]
    #[case("StockLow")]
    #[case("stock.low,")]
    #[case("stock.low,*")]
    #[case("stock.*")]
    fn other_texts_choose_nothing(#[case] text: &str) {
        assert!(text.parse::<BusEvents>().is_err());
    }

    fn announcement(event: EventType) -> Announcement {
        let time = Timestamp::from_millis(1_700_000_000_000).unwrap();
        let organization = OrganizationId::parse("us").unwrap();
        let data = serde_json::json!({ "n": 1 });
        Announcement { event_id: format!("evt_{}", event.as_str()), event, time, organization, store: None, data }
    }

    #[tokio::test]
    async fn only_chosen_events_go_to_the_bus_and_as_callbacks_have_them() {
        let all: Vec<_> = EventType::ALL.into_iter().map(announcement).collect();
        let outlet = BusOutlet { bus: MemoryBus::default(), events: "stock.low,order.short".parse().unwrap() };
        assert_eq!(put_on_bus(&outlet, &all).await.unwrap(), 2);
        let expected = [EventType::OrderShort, EventType::StockLow].map(|event| FrozenEvent::of(&announcement(event)));
        assert_eq!(outlet.bus.events(), expected);
    }

    #[tokio::test]
    async fn bus_is_not_called_for_nothing() {
        let outlet = BusOutlet { bus: MemoryBus::default(), events: "stock.low".parse().unwrap() };
        outlet.bus.set_down(true);
        assert_eq!(put_on_bus(&outlet, &[announcement(EventType::StockChanged)]).await.unwrap(), 0);
        assert!(put_on_bus(&outlet, &[announcement(EventType::StockLow)]).await.is_err());
    }
}
