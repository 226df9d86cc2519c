//! What a change costs: write units follow from the size of the item, so the size is what is tested.

use aws_sdk_dynamodb::types::AttributeValue;
use evenstock_app::testing::FixedClock;
use evenstock_app::{StockStore, apply_group, request};
use evenstock_domain::{
    ActorCode, Delta, EventBody, EventIdKey, LevelKey, LocationId, Means, OrganizationId, Quantity, Sku, Source,
    StockEvent, Timestamp,
};

use crate::support::{TABLE, fresh};

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
