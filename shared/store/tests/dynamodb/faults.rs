//! What the real world adds to the contract: items that cannot be read, answers that never come, tables that are not
//! there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use evenstock_app::testing::FixedClock;
use evenstock_app::{
    Answer, Behind, BreakerStore, BreakerWatch, Circuit, Clock, FailingBreakers, FeedDeps, LevelScan, RecentPages,
    RepairLimits, StockStore, StoreError, apply_group, changes_behind, repair, report_failure, request,
};
use evenstock_domain::{
    ActorCode, Admission, Breaker, BreakerConfig, EventBody, EventIdKey, FeedLimits, LevelKey, LocationId, Means,
    OrganizationId, Outcome, Quantity, Sku, Source, StockEvent, Timestamp,
};
use evenstock_store::DynamoStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Emulated, TABLE, client_to, fresh};

fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000).unwrap()
}

fn key() -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("org").unwrap(),
        sku: Sku::parse("sku").unwrap(),
        location: LocationId::parse("main").unwrap(),
    }
}

fn event(name: &str, body: EventBody) -> StockEvent {
    let id = EventIdKey::new(*b"0123456789abcdef").event_id(name);
    StockEvent { id, time: now(), source: Source::api(), actor: ActorCode(0), body }
}

fn count(units: i64) -> StockEvent {
    let quantity = Quantity::new(units).unwrap();
    event("count", EventBody::Count { quantity, means: Means::Available, sequence: 0 })
}

fn take(name: &str, units: i64) -> StockEvent {
    event(name, EventBody::Request { available: -units, reserved: 0, expected_version: None })
}

async fn stocked(units: i64) -> Emulated {
    let emulated = fresh().await;
    let result = apply_group(&emulated.store, &FixedClock::at(now()), &key(), &[count(units)]).await;
    assert_eq!(result.outcomes, [Outcome::Applied]);
    emulated
}

/// Overwrites one attribute of the level behind the store's back.
async fn damage(emulated: &Emulated, attribute: &str, value: AttributeValue) {
    let update = emulated.client.update_item().table_name(TABLE);
    let update = update.key("pk", AttributeValue::S("org#S#sku".to_owned()));
    let update = update.key("sk", AttributeValue::S("L#main".to_owned()));
    let update = update.update_expression("SET #damaged = :value").expression_attribute_names("#damaged", attribute);
    update.expression_attribute_values(":value", value).send().await.unwrap();
}

#[tokio::test]
async fn unreadable_level_is_an_error_and_never_absent() {
    let damages = [
        ("av", AttributeValue::S("seven".to_owned())),
        ("v", AttributeValue::N("99".to_owned())),
        ("re", AttributeValue::L(vec![AttributeValue::B(vec![1, 2, 3].into())])),
        ("ids", AttributeValue::Bs(vec![vec![0; 8].into()])),
        ("vs", AttributeValue::N("0".to_owned())),
        ("so", AttributeValue::L(Vec::new())),
    ];
    for (attribute, value) in damages {
        let emulated = stocked(7).await;
        damage(&emulated, attribute, value).await;
        let store = &emulated.store;
        let corrupt = |result: &StoreError| matches!(result, StoreError::Corrupt { .. });
        assert!(corrupt(&store.load(&key()).await.unwrap_err()), "{attribute}");
        assert!(corrupt(&store.levels_of(&key().organization, &key().sku).await.unwrap_err()), "{attribute}");
        assert!(corrupt(&store.list(&key().organization, None, 10).await.unwrap_err()), "{attribute}");
        let result = apply_group(store, &FixedClock::at(now()), &key(), &[take("t", 1)]).await;
        assert!(result.outcomes.is_empty() && corrupt(&result.failure.unwrap()), "{attribute}");
    }
}

#[tokio::test]
async fn level_from_before_headroom_was_kept_is_sold_from_all_the_same() {
    for units in [3, -3] {
        let emulated = stocked(7).await;
        let update = emulated.client.update_item().table_name(TABLE).update_expression("REMOVE hr");
        let update = update.key("pk", AttributeValue::S("org#S#sku".to_owned()));
        update.key("sk", AttributeValue::S("L#main".to_owned())).send().await.unwrap();
        let clock = FixedClock::at(now());
        for name in ["first", "second"] {
            let settled = request(&emulated.store, &clock, &key(), &take(name, units)).await.unwrap();
            assert!(matches!(settled.answer, Answer::Applied(_)), "{settled:?}");
        }
        assert_eq!(emulated.store.load(&key()).await.unwrap().unwrap().level.available, 7 - 2 * units);
    }
}

/// Overwrites attributes of a breaker behind the store's back.
async fn set_breaker(emulated: &Emulated, changes: &str, values: &[(&str, AttributeValue)]) {
    let mut update = emulated.client.update_item().table_name(TABLE).update_expression(changes);
    for (name, value) in values {
        update = update.expression_attribute_values(*name, value.clone());
    }
    let update = update.key("pk", AttributeValue::S("B#etsy/1".to_owned()));
    update.key("sk", AttributeValue::S("B".to_owned())).send().await.unwrap();
}

#[tokio::test]
async fn breaker_that_the_index_lists_still_and_is_well_again_is_not_shown() {
    let emulated = fresh().await;
    let shop = OrganizationId::parse("shop").unwrap();
    let circuit = Circuit::of(shop.clone(), Source::parse("etsy/1").unwrap());
    let failing = Breaker { failures: 3, open_until: Some(now()), probe: None };
    assert!(emulated.store.save_breaker(&circuit, None, &failing).await.unwrap());
    // As an index that lags shows it: its rows are of before, the item is of now.
    set_breaker(&emulated, "SET f = :none REMOVE un", &[(":none", AttributeValue::N("0".to_owned()))]).await;
    for organization in [Some(&shop), None] {
        let listed = emulated.store.failing_breakers(organization, 9).await.unwrap();
        assert_eq!(listed, FailingBreakers::default());
    }
}

#[tokio::test]
async fn breaker_from_before_breakers_were_listed_counts_on_and_is_listed_then() {
    let emulated = fresh().await;
    let shop = OrganizationId::parse("shop").unwrap();
    let circuit = Circuit::of(shop.clone(), Source::parse("etsy/1").unwrap());
    let number = |text: &str| AttributeValue::N(text.to_owned());
    set_breaker(&emulated, "SET rv = :rev, f = :two", &[(":rev", number("7")), (":two", number("2"))]).await;
    let config = BreakerConfig { threshold: 3, cooldown_ms: 900_000, probe_ms: 60_000 };
    assert_eq!(emulated.store.failing_breakers(Some(&shop), 9).await.unwrap(), FailingBreakers::default());
    report_failure(&emulated.store, &FixedClock::at(now()), &circuit, &Admission::Closed, &config).await.unwrap();
    let listed = emulated.store.failing_breakers(Some(&shop), 9).await.unwrap();
    let open = Breaker { failures: 3, open_until: Some(now().plus_millis(900_000)), probe: None };
    assert_eq!(listed, FailingBreakers { breakers: vec![(circuit.name, open)], more: false });
}

#[tokio::test]
async fn missing_journal_page_is_an_error_and_never_a_fresh_event() {
    let emulated = fresh().await;
    let clock = FixedClock::at(now());
    let deltas = (0..40).map(|n| event(&format!("d{n}"), EventBody::Delta(evenstock_domain::Delta::new(1).unwrap())));
    apply_group(&emulated.store, &clock, &key(), &deltas.clone().collect::<Vec<_>>()).await;
    let pages = emulated.client.scan().table_name(TABLE).send().await.unwrap().items.unwrap_or_default();
    let page = pages.into_iter().filter(|item| item["sk"].as_s().unwrap().starts_with("J#")).last().unwrap();
    let delete = emulated.client.delete_item().table_name(TABLE);
    delete.key("pk", page["pk"].clone()).key("sk", page["sk"].clone()).send().await.unwrap();
    let again = apply_group(&emulated.store, &clock, &key(), &deltas.collect::<Vec<_>>()).await;
    assert!(matches!(again.failure, Some(StoreError::Corrupt { .. })), "{again:?}");
    assert_eq!(emulated.store.load(&key()).await.unwrap().unwrap().level.available, 40);
}

#[tokio::test]
async fn absent_table_is_refused_and_unreachable_one_is_unknown() {
    let emulated = fresh().await;
    let elsewhere = DynamoStore::new(emulated.client.clone(), "no-such-table", 400);
    assert!(matches!(elsewhere.load(&key()).await, Err(StoreError::Refused(_))));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let unreachable = DynamoStore::new(client_to(nobody), TABLE, 400);
    assert!(matches!(unreachable.load(&key()).await, Err(StoreError::Unknown(_))));
}

/// Passes requests on, and closes the connection instead of giving the answers of the next `lost` writes.
pub(crate) async fn lossy(to: SocketAddr, lost: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let left = Arc::new(AtomicUsize::new(lost));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, to, Arc::clone(&left)));
        }
    });
    address
}

async fn pass(mut client: TcpStream, to: SocketAddr, left: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(to).await?;
    loop {
        let request = message(&mut client).await?;
        let head = String::from_utf8_lossy(&request).to_lowercase();
        let is_write = head.contains(".updateitem\r") || head.contains(".putitem\r");
        server.write_all(&request).await?;
        let answer = message(&mut server).await?;
        if is_write && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Ok(());
        }
        client.write_all(&answer).await?;
    }
}

/// One HTTP message with a `Content-Length`.
async fn message(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(head_end) = head_end {
            let head = String::from_utf8_lossy(&bytes[..head_end]).to_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            if bytes.len() >= head_end + 4 + length.unwrap_or_default() {
                return Ok(bytes);
            }
        }
        if from.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[tokio::test]
async fn request_whose_answers_were_lost_is_applied_once() {
    for lost in 1..=7 {
        let emulated = stocked(10).await;
        let store = DynamoStore::new(client_to(lossy(emulated.address, lost).await), TABLE, 400);
        let settled = request(&store, &FixedClock::at(now()), &key(), &take("t", 3)).await.unwrap();
        assert!(
            matches!(settled.answer, Answer::Applied(placed) if placed.available_after == 7 && placed.version == 2)
        );
        assert_eq!(emulated.store.load(&key()).await.unwrap().unwrap().level.available, 7, "{lost} answers lost");
    }
}

#[tokio::test]
async fn group_whose_answers_were_lost_is_applied_once() {
    for lost in 1..=7 {
        let emulated = stocked(10).await;
        let store = DynamoStore::new(client_to(lossy(emulated.address, lost).await), TABLE, 400);
        let takes = [take("a", 1), take("b", 2)];
        let result = apply_group(&store, &FixedClock::at(now()), &key(), &takes).await;
        assert!(result.failure.is_none(), "{result:?}");
        let level = emulated.store.load(&key()).await.unwrap().unwrap().level;
        assert_eq!((level.available, level.version), (7, 3), "{lost} answers lost");
    }
}

#[tokio::test]
async fn sdk_that_learns_nothing_says_unknown() {
    let emulated = stocked(10).await;
    let store = DynamoStore::new(client_to(lossy(emulated.address, 3).await), TABLE, 400);
    let blind = evenstock_domain::BlindRequest::new(&take("t", 1), now()).unwrap();
    assert!(matches!(store.append(&key(), &blind).await, Err(StoreError::Unknown(_))));
}

/// The feed of the other organization, whose own level was damaged in the same scan.
#[tokio::test]
async fn unreadable_level_is_named_and_the_repair_of_the_feeds_goes_on() {
    let emulated = stocked(7).await;
    let others = ["a", "z"].map(|name| LevelKey {
        organization: OrganizationId::parse(name).unwrap(),
        sku: Sku::parse("sku").unwrap(),
        location: LocationId::parse("main").unwrap(),
    });
    let clock = FixedClock::at(now());
    for key in &others {
        assert_eq!(apply_group(&emulated.store, &clock, key, &[count(3)]).await.outcomes, [Outcome::Applied]);
    }
    damage(&emulated, "av", AttributeValue::S("seven".to_owned())).await;
    let page = emulated.store.scan_levels(None, 100).await.unwrap();
    assert_eq!(page.levels.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), others);
    let [StoreError::Corrupt { key, .. }] = &page.unreadable[..] else { unreachable!("{:?}", page.unreadable) };
    assert!(key.contains("org#S#sku"), "{key}");

    clock.advance_ms(60 * 60 * 1000);
    let (limits, recent) = (FeedLimits::keeping_hours(168), RecentPages::default());
    let deps = FeedDeps { store: &emulated.store, clock: &clock, limits: &limits, recent: &recent };
    let report = repair(deps, RepairLimits { until: clock.now().plus_millis(1) }).await.unwrap();
    assert_eq!((report.levels, report.offered, report.unreadable, report.finished), (2, 2, 1, true));
    for key in &others {
        let behind = changes_behind(&emulated.store, &key.organization, 0, 10, clock.now()).await.unwrap();
        assert!(matches!(&behind, Behind::Events { events, .. } if events.len() == 1), "{behind:?}");
    }
}
