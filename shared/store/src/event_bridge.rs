//! The bus on EventBridge.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use evenstock_app::{Bus, BusError, FrozenEvent};

/// Who we are, to the rules of the bus.
const SOURCE: &str = "evenstock";

/// Events that one call takes.
const BATCH_MAX: usize = 10;

/// Bytes in one call, all events together.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// What EventBridge counts for the time of an event, in bytes.
const TIME_BYTES: usize = 14;

/// Tries for the events that EventBridge leaves out of a call.
const ATTEMPTS_MAX: u32 = 3;

/// An event bus by its name.
#[derive(Debug, Clone)]
pub struct EventBridge {
    client: Client,
    bus: String,
}

impl EventBridge {
    /// The bus of this name.
    pub fn new(client: Client, bus: impl Into<String>) -> Self {
        Self { client, bus: bus.into() }
    }

    /// Puts what one call takes. A call may succeed for some events and not for others: only those are put again.
    async fn put_batch(&self, events: &[FrozenEvent]) -> Result<(), BusError> {
        let mut waiting: Vec<&FrozenEvent> = events.iter().collect();
        let mut reason = String::new();
        for _ in 0..ATTEMPTS_MAX {
            let entries = waiting.iter().map(|event| self.entry(event)).collect();
            let call = self.client.put_events().set_entries(Some(entries));
            let answer = call.send().await.map_err(|error| BusError(Box::new(error)))?;
            if answer.failed_entry_count == 0 {
                return Ok(());
            }
            let results = answer.entries.unwrap_or_default();
            if results.len() != waiting.len() {
                return Err(BusError("EventBridge does not say which events failed".into()));
            }
            // Results stand in the order of the events; one that was taken carries an id.
            let left = waiting.into_iter().zip(results).filter(|(_, result)| result.event_id.is_none());
            let left: Vec<_> = left.collect();
            reason = left.iter().find_map(|(_, result)| result.error_code.clone()).unwrap_or_default();
            waiting = left.into_iter().map(|(event, _)| event).collect();
            if waiting.is_empty() {
                return Ok(());
            }
        }
        Err(BusError(format!("{} events not taken in {ATTEMPTS_MAX} tries: {reason}", waiting.len()).into()))
    }

    fn entry(&self, event: &FrozenEvent) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source(SOURCE)
            .detail_type(event.event.bus_name())
            .time(DateTime::from_millis(event.time.as_millis()))
            .detail(&event.body)
            .build()
    }
}

impl Bus for EventBridge {
    async fn put(&self, events: &[FrozenEvent]) -> Result<(), BusError> {
        let mut rest = events;
        while !rest.is_empty() {
            let (batch, behind) = rest.split_at(batch_len(rest));
            self.put_batch(batch).await?;
            rest = behind;
        }
        Ok(())
    }
}

/// How many of the first events go into one call: at least one.
fn batch_len(events: &[FrozenEvent]) -> usize {
    let mut bytes = 0_usize;
    let fits = events.iter().take(BATCH_MAX).take_while(|event| {
        let parts = [TIME_BYTES, SOURCE.len(), event.event.bus_name().len(), event.body.len()];
        bytes = parts.into_iter().fold(bytes, usize::saturating_add);
        bytes <= BATCH_BYTES_MAX
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests {
    use evenstock_domain::{BODY_BYTES_MAX, EventType, Timestamp};

    use super::*;

    fn events(count: usize, bytes: usize) -> Vec<FrozenEvent> {
        let body = "x".repeat(bytes);
        let event = EventType::StockLow;
        let time = Timestamp::EPOCH;
        vec![FrozenEvent { event_id: "e".to_owned(), event, time, store: None, body }; count]
    }

    #[test]
    fn calls_stay_within_number_and_size() {
        assert_eq!(batch_len(&events(25, 10)), 10);
        assert_eq!(batch_len(&events(5, BODY_BYTES_MAX)), 2);
        assert_eq!(batch_len(&events(2, BATCH_BYTES_MAX / 2)), 1, "names and times count too");
        assert_eq!(batch_len(&events(2, BATCH_BYTES_MAX)), 1, "its refusal is the bus's to say");
    }
}
