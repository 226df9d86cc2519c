//! The kinds of events, by the names that callbacks and the bus use.

/// The kinds of events that organizations can subscribe to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// The synchronization of a store began.
    SyncStarted,
    /// It went through its receipts.
    SyncCompleted,
    /// It could not.
    SyncFailed,
    /// A warehouse and we disagree about a level.
    SyncConflict,
    /// A marketplace confirmed an order.
    OrderImported,
    /// An order took more than was there.
    OrderShort,
    /// A level changed.
    StockChanged,
    /// A level fell below its policy's threshold.
    StockLow,
    /// Facts took more than was there.
    StockOversold,
    /// A reservation ran out.
    ReservationExpired,
}

impl EventType {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::SyncStarted,
        Self::SyncCompleted,
        Self::SyncFailed,
        Self::SyncConflict,
        Self::OrderImported,
        Self::OrderShort,
        Self::StockChanged,
        Self::StockLow,
        Self::StockOversold,
        Self::ReservationExpired,
    ];

    /// The name that callbacks use, such as `stock.low`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SyncStarted => "sync.started",
            Self::SyncCompleted => "sync.completed",
            Self::SyncFailed => "sync.failed",
            Self::SyncConflict => "sync.conflict",
            Self::OrderImported => "order.imported",
            Self::OrderShort => "order.short",
            Self::StockChanged => "stock.changed",
            Self::StockLow => "stock.low",
            Self::StockOversold => "stock.oversold",
            Self::ReservationExpired => "reservation.expired",
        }
    }

    /// The name that the bus uses as detail type, such as `StockLow`.
    pub const fn bus_name(self) -> &'static str {
        match self {
            Self::SyncStarted => "SyncStarted",
            Self::SyncCompleted => "SyncCompleted",
            Self::SyncFailed => "SyncFailed",
            Self::SyncConflict => "SyncConflict",
            Self::OrderImported => "OrderImported",
            Self::OrderShort => "OrderShort",
            Self::StockChanged => "StockChanged",
            Self::StockLow => "StockLow",
            Self::StockOversold => "StockOversold",
            Self::ReservationExpired => "ReservationExpired",
        }
    }

    /// Reads a callback's event name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_none_is_used_twice() {
        for event in EventType::ALL {
            assert_eq!(EventType::parse(event.as_str()), Some(event));
        }
        let mut bus: Vec<_> = EventType::ALL.iter().map(|event| event.bus_name()).collect();
        bus.sort_unstable();
        bus.dedup();
        assert_eq!(bus.len(), EventType::ALL.len());
        assert_eq!(EventType::parse("stock.unknown"), None);
    }
}
