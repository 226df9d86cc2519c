//! Deliveries of registered stores: each with a secret of its own, counts worth what the store says, orders noted once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryQueue, MemorySealer, MemoryStore};
use evenstock_app::{ChangeBody, MarketplaceStores, QueueName, RegisterStore, SecretText, StockSignal, register_store};
use evenstock_domain::{LocationId, Marketplace, OrganizationId, ReceiptState, StoreId, Timestamp};
use evenstock_runtime::testing::Reply;
use evenstock_runtime::{Environment, new_id};
use evenstock_webhook::{Intake, Stores, connections, router};
use rstest::rstest;
use serde_json::json;

use crate::{BODY, deliver, queued, signed};

const NOTICE: &str = r#"{"receipt":"order-101-L"}"#;

/// How long a process believes a store to be as it was read, in milliseconds.
const CACHE_MS: i64 = 60_000;

type World = Intake<MemoryQueue, FaultyStore<MemoryStore>, MemorySealer, FixedClock>;

/// The function with a table in memory, whose reads of stores are counted.
pub(crate) struct Shop {
    intake: Arc<World>,
    router: Router,
    reads: Arc<AtomicUsize>,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let clock = FixedClock::at(Timestamp::parse("2026-11-20T08:00:00Z").unwrap());
        let environment: Environment = [("MARKETPLACE_A_SECRET", "secret")].into_iter().collect();
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reads);
        let table = FaultyStore::new(MemoryStore::default(), move |operation| {
            counted.fetch_add(usize::from(operation == "load_store"), Ordering::SeqCst);
            Fault::None
        });
        let configured = connections(&environment).unwrap();
        let stores = Stores::new(configured, Arc::new(table), MemorySealer::default(), clock);
        let intake = Arc::new(Intake { queue: MemoryQueue::default(), stores });
        Self { router: router(Arc::clone(&intake)), intake, reads }
    }

    fn table(&self) -> &MemoryStore {
        self.intake.stores.table.inner()
    }

    /// Registers the account `ext` of a channel, or changes it.
    async fn register(&self, channel: &str, secret: Option<&str>, signal: Option<StockSignal>) -> String {
        let asked = RegisterStore {
            organization: OrganizationId::parse("shop #1").unwrap(),
            marketplace: Marketplace::parse(channel).unwrap(),
            external_id: StoreId::parse("ext").unwrap(),
            name: "Shop".to_owned(),
            currency: "USD".to_owned(),
            access_token: SecretText::new("token"),
            stock_signal: signal,
            default_location: Some(LocationId::parse("shelf").unwrap()),
            webhook_secret: secret.map(SecretText::new),
            base_url: None,
            new_id: StoreId::parse(&new_id()).unwrap(),
            new_token: SecretText::new("sync token"),
        };
        let stores = &self.intake.stores;
        register_store(self.table(), &stores.sealer, &stores.clock, &asked).await.unwrap().store.to_string()
    }

    /// Registers a store that signs with `secret`.
    pub(crate) async fn registers(&self, channel: &str, secret: &str) -> String {
        self.register(channel, Some(secret), None).await
    }

    pub(crate) async fn deliver(&self, path: &str, body: &str, secret: &str) -> Reply {
        deliver(&self.router, path, body, signed(secret, body.as_bytes())).await
    }

    fn reads(&self) -> usize {
        self.reads.swap(0, Ordering::SeqCst)
    }

    fn pass_ms(&self, millis: i64) {
        self.intake.stores.clock.advance_ms(millis);
    }
}

/// The body without a place.
fn placeless() -> String {
    BODY.replace(r#","warehouse":"main""#, "")
}

#[rstest]
#[case::authority(StockSignal::Authority, Some(ChangeBody::CountAvailable { quantity: 7, sequence: 0 }))]
#[case::merged(StockSignal::Merged, Some(ChangeBody::Merged { quantity: 7, sequence: 0 }))]
#[case::orders(StockSignal::Orders, None)]
#[tokio::test]
async fn count_of_a_store_is_worth_what_the_store_says(#[case] signal: StockSignal, #[case] worth: Option<ChangeBody>) {
    let shop = Shop::new();
    let store = shop.register("marketplace-a", Some("own"), Some(signal)).await;
    let path = format!("/ingest/marketplace-a/{store}");
    let reply = shop.deliver(&path, &placeless(), "own").await;
    assert_eq!((reply.status, &reply.body["data"]["productId"]), (202, &json!("SKU-1")));
    let queued = queued(&shop.intake.queue);
    assert_eq!(queued.iter().map(|change| change.change).collect::<Vec<_>>(), Vec::from_iter(worth));
    assert_eq!(reply.body["message"] == "accepted", worth.is_some(), "who waits for an effect is told: {}", reply.text);
    for change in queued {
        let place = (change.organization.as_str(), change.location.as_str(), change.source);
        assert_eq!(place, ("shop #1", "shelf", format!("marketplace-a/{store}")));
    }
    assert_eq!(shop.deliver(&path, "{}", "own").await.refusal().0, 400, "what changes nothing must still be right");
}

#[tokio::test]
async fn count_that_names_its_place_is_about_that() {
    let shop = Shop::new();
    let store = shop.register("marketplace-a", Some("own"), Some(StockSignal::Authority)).await;
    assert_eq!(shop.deliver(&format!("/ingest/marketplace-a/{store}"), BODY, "own").await.status, 202);
    assert_eq!(queued(&shop.intake.queue)[0].location, "main");
}

#[rstest]
#[case("etsy")]
#[case("shopify")]
#[case("amazon")]
#[tokio::test]
async fn notice_of_an_order_is_noted_once_and_wakes_the_store_once(#[case] channel: &str) {
    let shop = Shop::new();
    let store = shop.registers(channel, "own").await;
    let path = format!("/ingest/{channel}/{store}");
    let reply = shop.deliver(&path, NOTICE, "own").await;
    assert_eq!((reply.status, &reply.body["data"]["receipt"]), (202, &json!("order-101-L")));
    let noted = shop.table().receipts();
    assert_eq!(noted.len(), 1);
    assert_eq!((noted[0].state(), noted[0].store.as_str()), (ReceiptState::Pending, store.as_str()));
    let id = StoreId::parse(&store).unwrap();
    let watched = shop.table().load_store(&id).await.unwrap().unwrap();
    assert!(watched.store.sync.watch.is_some(), "its worker will look");
    shop.pass_ms(5000);
    for _ in 0..3 {
        assert_eq!(shop.deliver(&path, NOTICE, "own").await.status, 202);
    }
    assert_eq!((shop.table().receipts(), shop.table().load_store(&id).await.unwrap()), (noted, Some(watched)));
    let cancelled = r#"{"receipt":"order-101-L","cancelled":true}"#;
    assert_eq!(shop.deliver(&path, cancelled, "other").await.status, 401);
    assert_eq!(shop.deliver(&path, cancelled, "own").await.status, 202);
    let receipts = shop.table().receipts();
    assert!(receipts[0].cancelled_at.is_some() && receipts[0].due_at().is_none(), "it is not asked about");
    assert_eq!(shop.intake.queue.bodies(QueueName::StockChanges), Vec::<String>::new());
}

#[tokio::test]
async fn whatever_does_not_deliver_here_gets_the_same_answer() {
    let shop = Shop::new();
    let etsy = shop.registers("etsy", "own").await;
    let mute = shop.register("shopify", None, None).await;
    let paths = [
        format!("/ingest/etzy/{etsy}"),
        "/ingest/etsy/0192aaaa-0000-7000-8000-000000000000".to_owned(),
        format!("/ingest/amazon/{etsy}"),
        format!("/ingest/marketplace-a/{etsy}"),
        format!("/ingest/shopify/{mute}"),
        "/ingest/etsy/default".to_owned(),
        format!("/ingest/etsy/{}", "x".repeat(129)),
    ];
    for path in paths {
        for secret in ["own", "secret", "token"] {
            let reply = shop.deliver(&path, NOTICE, secret).await;
            assert_eq!(reply.refusal(), (404, "not_found"), "{path}");
            assert_eq!(reply.body["message"], "no store delivers here", "{path}");
        }
    }
    assert_eq!(shop.deliver(&format!("/ingest/etsy/{etsy}"), NOTICE, "other").await.refusal(), (401, "unauthorized"));
    assert_eq!(shop.table().receipts(), []);
}

#[tokio::test]
async fn store_is_read_once_a_minute_and_the_default_store_never() {
    let shop = Shop::new();
    let store = shop.register("marketplace-a", Some("own"), Some(StockSignal::Authority)).await;
    let path = format!("/ingest/marketplace-a/{store}");
    for _ in 0..5 {
        assert_eq!(shop.deliver(&path, BODY, "own").await.status, 202);
        assert_eq!(shop.deliver("/webhooks/marketplace-a", BODY, "secret").await.status, 202);
        assert_eq!(shop.deliver("/webhooks/marketplace-a", BODY, "wrong").await.status, 401);
    }
    assert_eq!(shop.reads(), 1);
    shop.pass_ms(CACHE_MS);
    assert_eq!(shop.deliver(&path, BODY, "own").await.status, 202);
    assert_eq!(shop.reads(), 1);
}

#[tokio::test]
async fn ids_that_name_no_store_are_not_read_again_and_do_not_lock_out_a_store_in_use() {
    let shop = Shop::new();
    let store = shop.registers("etsy", "own").await;
    let path = format!("/ingest/etsy/{store}");
    assert_eq!(shop.deliver(&path, NOTICE, "own").await.status, 202);
    shop.reads();
    for _ in 0..3 {
        assert_eq!(shop.deliver("/ingest/etsy/guess", NOTICE, "own").await.status, 404);
    }
    assert_eq!(shop.reads(), 1);
    let mut refused = 0;
    for n in 0..1500 {
        refused += usize::from(shop.deliver(&format!("/ingest/etsy/guess-{n}"), NOTICE, "own").await.status == 429);
    }
    assert_eq!((shop.reads(), refused), (999, 501), "a guess beyond the thousandth costs no read");
    shop.pass_ms(CACHE_MS);
    for n in 0..1000 {
        shop.deliver(&format!("/ingest/etsy/again-{n}"), NOTICE, "own").await;
    }
    assert_eq!(shop.deliver("/ingest/etsy/one-more", NOTICE, "own").await.status, 429);
    assert_eq!(shop.deliver(&path, NOTICE, "own").await.status, 202, "its minute is over, and it is read anew");
}

#[tokio::test]
async fn both_secrets_prove_while_one_replaces_the_other() {
    let shop = Shop::new();
    let store = shop.registers("etsy", "old").await;
    let path = format!("/ingest/etsy/{store}");
    assert_eq!(shop.deliver(&path, NOTICE, "old").await.status, 202);
    shop.pass_ms(5000);
    assert_eq!(shop.registers("etsy", "new").await, store);
    // This process still has the store as it was; another one has never seen it.
    for secret in ["old", "new", "old"] {
        assert_eq!(shop.deliver(&path, NOTICE, secret).await.status, 202, "{secret}");
    }
    shop.pass_ms(59 * 60 * 1000);
    for secret in ["old", "new"] {
        assert_eq!(shop.deliver(&path, NOTICE, secret).await.status, 202, "{secret}");
    }
    // The same registration again begins no new hour.
    shop.registers("etsy", "new").await;
    shop.pass_ms(60 * 1000);
    for (secret, status) in [("old", 401), ("new", 202)] {
        assert_eq!(shop.deliver(&path, NOTICE, secret).await.status, status, "{secret}");
    }
    shop.registers("etsy", "newer").await;
    shop.registers("etsy", "newest").await;
    shop.pass_ms(CACHE_MS);
    for (secret, status) in [("new", 401), ("newer", 202), ("newest", 202)] {
        assert_eq!(
            shop.deliver(&path, NOTICE, secret).await.status,
            status,
            "two registrations end a secret: {secret}"
        );
    }
}

#[tokio::test]
async fn wrong_signatures_cost_at_most_a_read_a_second() {
    let shop = Shop::new();
    let path = format!("/ingest/etsy/{}", shop.registers("etsy", "own").await);
    assert_eq!(shop.deliver(&path, NOTICE, "own").await.status, 202);
    shop.reads();
    for _ in 0..50 {
        shop.pass_ms(100);
        assert_eq!(shop.deliver(&path, NOTICE, "wrong").await.status, 401);
    }
    assert_eq!(shop.reads(), 5);
}

#[tokio::test]
async fn store_whose_secret_cannot_be_opened_now_delivers_later() {
    let shop = Shop::new();
    let path = format!("/ingest/etsy/{}", shop.registers("etsy", "own").await);
    shop.intake.stores.sealer.set_down(true);
    assert_eq!(shop.deliver(&path, NOTICE, "own").await.refusal(), (503, "unavailable"));
    shop.intake.stores.sealer.set_down(false);
    assert_eq!(shop.deliver(&path, NOTICE, "own").await.status, 202);
}

#[tokio::test]
async fn secrets_of_registered_stores_do_not_show_in_debug() {
    let shop = Shop::new();
    let path = format!("/ingest/etsy/{}", shop.registers("etsy", "hunter2").await);
    assert_eq!(shop.deliver(&path, NOTICE, "hunter2").await.status, 202);
    let shown = format!("{:?}", shop.intake);
    assert!(shown.contains(path.rsplit('/').next().unwrap()) && !shown.contains("hunter"), "{shown}");
    assert!(!shown.contains("104, 117, 110"), "nor as bytes: {shown}");
}
