//! What a change costs: write units follow from the size of the item, so the size is what is tested.

use aws_sdk_dynamodb::types::AttributeValue;
use evenstock_app::testing::FixedClock;
use evenstock_app::{Arrival, Arrivals, CallbackStore, StockStore, apply_group, request};
use evenstock_domain::{
    ActorCode, Attempt, Delivery, DeliveryId, Delta, EndpointId, EventBody, EventIdKey, EventType, LevelKey,
    LocationId, Means, OrganizationId, Quantity, RetrySchedule, Sku, Source, StockEvent, Timestamp, Tried,
};
use evenstock_telemetry::{TraceContext, within};

use crate::support::{Emulated, TABLE, fresh};

/// Bytes that one write unit covers.
const UNIT_BYTES: usize = 1024;

fn key() -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("0193a0c0-0000-7000-8000-000000000001").unwrap(),
        sku: Sku::parse("TSHIRT-ORGANIC-BLUE-XL-2026").unwrap(),
        location: LocationId::parse("warehouse-berlin-01").unwrap(),
    }
}

fn event(n: i64, source: &str, body: EventBody) -> StockEvent {
    let id = EventIdKey::new(*b"0123456789abcdef").event_id(&n.to_string());
    let time = Timestamp::from_millis(1_700_000_000_000 + n).unwrap();
    // Facts are nobody's doing; requests carry the code of a key.
    let actor = ActorCode(if matches!(body, EventBody::Request { .. }) { 0x1f_ffff } else { 0 });
    StockEvent { id, time, source: Source::parse(source).unwrap(), actor, body }
}

/// As DynamoDB counts: names and values, three bytes for a list and one for each of its elements.
fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Bs(set) => set.iter().map(|bytes| bytes.as_ref().len()).sum(),
        AttributeValue::L(list) => 3 + list.iter().map(|element| 1 + size(element)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.iter().map(|(name, element)| 1 + name.len() + size(element)).sum::<usize>(),
        _ => 1,
    }
}

async fn size_when_full(body: impl Fn(i64) -> EventBody) -> usize {
    let emulated = fresh().await;
    let clock = FixedClock::at(Timestamp::from_millis(1_700_000_000_100).unwrap());
    let quantity = Quantity::new(100_000).unwrap();
    let count = EventBody::Count { quantity, means: Means::Available, sequence: 0 };
    let mut events = vec![event(0, "marketplace-a/default", count)];
    events.extend((1..20).map(|n| event(n, "marketplace-a/default", body(n))));
    let result = apply_group(&emulated.store, &clock, &key(), &events).await;
    assert_eq!(result.outcomes.len(), 20);
    assert_eq!(emulated.store.load(&key()).await.unwrap().unwrap().level.recent.len(), 20, "as full as it gets");
    let items = emulated.client.scan().table_name(TABLE).send().await.unwrap().items.unwrap_or_default();
    items[0].iter().map(|(name, value)| name.len() + size(value)).sum()
}

#[tokio::test]
async fn fullest_usual_level_costs_one_write_unit() {
    let facts = size_when_full(|_| EventBody::Delta(Delta::new(-250).unwrap())).await;
    let requests =
        size_when_full(|_| EventBody::Request { available: -250, reserved: 0, expected_version: None }).await;
    assert!(facts <= UNIT_BYTES && requests <= UNIT_BYTES, "{facts} and {requests} bytes");
    let trace = Some(TraceContext::new([1; 16], [2; 8], true));
    let traced = within(trace, Box::pin(size_when_full(|_| EventBody::Delta(Delta::new(-250).unwrap())))).await;
    assert_eq!(traced, facts + 27, "a trace costs its name and 25 bytes");
    assert!(traced <= UNIT_BYTES, "{traced} bytes");
}

#[tokio::test]
async fn blind_requests_write_at_most_115_items_for_100_changes() {
    let emulated = fresh().await;
    let clock = FixedClock::at(Timestamp::from_millis(1_700_000_060_000).unwrap());
    let quantity = Quantity::new(5_000).unwrap();
    let count = EventBody::Count { quantity, means: Means::Available, sequence: 0 };
    apply_group(&emulated.store, &clock, &key(), &[event(0, "api", count)]).await;
    for n in 1..=320 {
        clock.advance_ms(10);
        let mut take = event(n, "api", EventBody::Request { available: -1, reserved: 0, expected_version: None });
        take.time = evenstock_app::Clock::now(&clock);
        request(&emulated.store, &clock, &key(), &take).await.unwrap();
    }
    let stored = emulated.store.load(&key()).await.unwrap().unwrap();
    // Every write of the level raises its rev by one; a page is one write more for sixteen changes.
    let pages = stored.level.first_recent_version() / 16;
    let writes = stored.rev + pages;
    let changes = stored.level.version;
    assert!(writes * 100 <= changes * 115, "{writes} writes for {changes} changes");
}

/// A stock callback's body, as long as they usually are.
fn callback_body(n: u32) -> String {
    let (a, b) = (n.wrapping_mul(2_654_435_761), n.wrapping_mul(3_266_489_917));
    format!(
        "{{\"eventId\":\"evt_{a:08x}{b:08x}{b:08x}{a:08x}\",\"event\":\"stock.changed\",\"timestamp\":\"2026-11-20T08:00:00.{n:03}Z\",\
         \"organizationId\":\"0193a0c0-0000-7000-8000-000000000001\",\"data\":{{\"seq\":{a},\"type\":\"stock_decreased\",\
         \"productId\":\"TSHIRT-ORGANIC-BLUE-XL-{n}\",\"storeId\":\"warehouse-berlin-01\",\"delta\":-1,\"newQuantity\":{n},\
         \"newReserved\":0,\"newVersion\":{n},\"source\":\"api\",\"eventId\":\"{b:016x}\",\"ts\":\"2026-11-20T08:00:00.{n:03}Z\"}}}}"
    )
}

/// Deliveries of ten events to one endpoint.
fn ten_deliveries() -> Vec<Delivery> {
    let endpoint = EndpointId::parse("0123456789abcdef0123456789abcdef").unwrap();
    let delivery = |n: u32| {
        let event_id = format!("evt_{n:032x}");
        let time = Timestamp::from_millis(1_700_000_000_000 + i64::from(n)).unwrap();
        let id = DeliveryId::new(&endpoint, &event_id, time);
        Delivery::new(key().organization, id, event_id, EventType::StockChanged, None, callback_body(n))
    };
    (0..10).map(delivery).collect()
}

fn answered(status: u16) -> Attempt {
    let at = Timestamp::from_millis(1_700_000_000_500).unwrap();
    Attempt { at, status_code: Some(status), duration_ms: 123, error: None, response: Some("{\"ok\":true}".to_owned()) }
}

async fn size_of_the_only_item(emulated: &Emulated) -> usize {
    let items = emulated.client.scan().table_name(TABLE).send().await.unwrap().items.unwrap_or_default();
    assert_eq!(items.len(), 1);
    items[0].iter().map(|(name, value)| name.len() + size(value)).sum()
}

#[tokio::test]
async fn ten_arrivals_at_once_cost_three_write_units_with_their_bodies() {
    for (count, units) in [(1, 1), (10, 3)] {
        let emulated = fresh().await;
        let arrival = |delivery: Delivery| Arrival {
            id: delivery.id,
            event_id: delivery.event_id,
            event: delivery.event,
            store: delivery.store,
            body: Some(delivery.body),
            attempt: answered(200),
        };
        let arrived: Vec<_> = ten_deliveries().into_iter().take(count).map(arrival).collect();
        let (organization, endpoint) = (key().organization, arrived[0].id.endpoint.clone());
        let at = answered(200).at;
        emulated.store.log_arrivals(&Arrivals { organization, endpoint, at, arrived }).await.unwrap();
        let bytes = size_of_the_only_item(&emulated).await;
        assert_eq!(bytes.div_ceil(UNIT_BYTES), units, "{bytes} bytes for {count}");
    }
}

#[tokio::test]
async fn delivery_costs_one_write_unit_until_its_tries_fill_another() {
    let mut delivery = ten_deliveries().remove(0);
    for (tries, units) in [(1, 1), (4, 1), (10, 2)] {
        let emulated = fresh().await;
        while delivery.tries < tries {
            let tried = Tried { attempt: answered(500), retry_after_seconds: None };
            delivery = delivery.tried(&tried, &RetrySchedule::default(), answered(500).at);
        }
        assert!(emulated.store.save_delivery(None, &delivery).await.unwrap());
        let bytes = size_of_the_only_item(&emulated).await;
        assert_eq!(bytes.div_ceil(UNIT_BYTES), units, "{bytes} bytes after {tries} tries");
    }
}
