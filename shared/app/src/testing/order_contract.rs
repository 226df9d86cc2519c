//! The part of the contract that is about stores and receipts.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "these functions are test bodies"
)]

use std::collections::BTreeSet;

use evenstock_domain::{
    BreakerConfig, CallResult, Claimed, Completed, DUE_BUCKETS, Line, LocationId, Marketplace, OrganizationId,
    Quantity, Receipt, ReceiptError, ReceiptId, ReceiptOrder, ReceiptState, RetryPolicy, Sku, StoreId, StoreSync,
    SyncStatus, Timestamp,
};
use futures::future::join_all;

use super::contract::{at, ids, key};
use super::{FixedClock, MemoryQueue, MemorySealer, ScriptedMarketplace};
use crate::{
    Amount, BreakerStore, Clock, DueReceipt, DueStore, Imported, MarketplaceStore, MarketplaceStores, OrderDeps,
    OrderPolicy, ReceiptStore, ReceiptWrite, RegisterStore, ReplacedSecret, Sealed, SecretText, StockChange,
    StockSignal, StockStore, StoreClaim, StoreSettings, StoreWrite, StoredStore, SyncLimits, SyncOutcome,
    ValidatedLine, ValidatedOrder, Validation, apply_group, import_order, mark_short_orders, oversold_sales,
    receipt_consequences, register_store, store_of_token, sync_report, sync_store,
};

/// Receipts of the store in `receipts_page_by_name` and its neighbours.
const RECEIPTS: usize = 25;

pub(crate) const RETRY: RetryPolicy = RetryPolicy { base_ms: 300_000, max_ms: 3_600_000, calls_max: 10 };

fn organization() -> OrganizationId {
    OrganizationId::parse("org #1").unwrap()
}

fn store_id(name: &str) -> StoreId {
    StoreId::parse(name).unwrap()
}

fn receipt_id(name: &str) -> ReceiptId {
    ReceiptId::parse(name).unwrap()
}

/// A new store that settles nothing yet.
pub fn a_store(name: &str) -> MarketplaceStore {
    MarketplaceStore {
        id: store_id(name),
        organization: organization(),
        marketplace: Marketplace::parse("etsy").unwrap(),
        external_id: store_id("ext-1"),
        created_at: at(0),
        settings: StoreSettings {
            name: "My Store".to_owned(),
            currency: "USD".to_owned(),
            stock_signal: StockSignal::Orders,
            default_location: LocationId::parse("main").unwrap(),
            base_url: None,
            access_token: Sealed::from_stored("sealed"),
            webhook_secret: None,
            replaced_secret: None,
        },
        sync: StoreSync::default(),
    }
}

fn a_receipt(store: &str, name: &str, created_at: Timestamp) -> Receipt {
    let of = a_store(store);
    Receipt::begin(of.organization, of.id, of.marketplace, receipt_id(name), created_at)
}

fn an_order(lines: Vec<Line>) -> CallResult {
    let order = ReceiptOrder {
        order_id: "order-1".to_owned(),
        amount: "123.45".to_owned(),
        currency: "USD".to_owned(),
        imported_at: at(-5),
        lines,
        moves_stock: true,
    };
    CallResult::Order { order, cancelled: false }
}

fn an_error(error: ReceiptError) -> CallResult {
    CallResult::Error { error, retry_after_seconds: None }
}

fn answered(receipt: &Receipt, result: &CallResult, now: Timestamp) -> Receipt {
    let Claimed::Taken(claimed) = receipt.claim_first(now, "token", 1000) else {
        unreachable!("a new receipt can be claimed")
    };
    match claimed.complete("token", result, now, &RETRY) {
        Completed::Moved(next) => *next,
        other => unreachable!("{other:?}"),
    }
}

pub async fn triple_is_claimed_once<S: MarketplaceStores>(store: &S) {
    let claim = |external: &str, id: &str| StoreClaim {
        organization: organization(),
        marketplace: Marketplace::parse("etsy").unwrap(),
        external_id: store_id(external),
        store: store_id(id),
        sync_token: Sealed::from_stored(format!("token of {id}")),
    };
    let names: Vec<_> = (0..16).map(|n| format!("store-{n}")).collect();
    let claimed = join_all(names.iter().map(async |id| store.claim_store(&claim("ext#1", id)).await.unwrap())).await;
    assert!(claimed.iter().all(|standing| *standing == claimed[0]), "{claimed:?}");
    let other = claim("ext", "store-other");
    assert_eq!(store.claim_store(&other).await.unwrap(), other, "another triple has a claim of its own");
}

pub async fn store_reads_back_whole<S: MarketplaceStores>(store: &S) {
    let mut full = a_store("full");
    assert_eq!(store.load_store(&full.id).await.unwrap(), None);
    full.settings.base_url = Some("https://example.com/api".to_owned());
    full.settings.webhook_secret = Some(Sealed::from_stored("sealed too"));
    full.settings.replaced_secret = Some(ReplacedSecret { sealed: Sealed::from_stored("sealed before"), until: at(9) });
    full.settings.stock_signal = StockSignal::Merged;
    let run = full.sync.run_under_way("run-1", at(5));
    full.sync = full.sync.watched_by(at(10)).unwrap().leased("me", at(11), 1000).unwrap();
    full.sync = full.sync.progressed("me", &run, at(12), 1000).unwrap();
    full.sync.queued_at = Some(at(13));
    for store_now in [full, a_store("bare")] {
        assert_eq!(store.save_store(None, &store_now).await.unwrap(), StoreWrite::Saved);
        let stored = store.load_store(&store_now.id).await.unwrap();
        assert_eq!(stored, Some(StoredStore { rev: 1, store: store_now }));
    }
}

pub async fn store_is_written_under_its_rev<S: MarketplaceStores>(store: &S) {
    let first = a_store("one");
    assert_eq!(store.save_store(None, &first).await.unwrap(), StoreWrite::Saved);
    let standing = StoreWrite::Conflict(Some(StoredStore { rev: 1, store: first.clone() }));
    assert_eq!(store.save_store(None, &first).await.unwrap(), standing);
    assert_eq!(store.save_store(Some(7), &first).await.unwrap(), standing);
    let watched = MarketplaceStore { sync: first.sync.watched_by(at(5)).unwrap(), ..first };
    let writes = join_all((0..8).map(|_| store.save_store(Some(1), &watched))).await;
    assert_eq!(writes.into_iter().filter(|write| matches!(write, Ok(StoreWrite::Saved))).count(), 1);
}

pub async fn token_leads_to_its_store<S: MarketplaceStores>(store: &S) {
    assert_eq!(store.find_token(&[7; 32]).await.unwrap(), None);
    store.point_token(&[7; 32], &store_id("a")).await.unwrap();
    store.point_token(&[7; 32], &store_id("a")).await.unwrap();
    assert_eq!(store.find_token(&[7; 32]).await.unwrap(), Some(store_id("a")));
    assert_eq!(store.find_token(&[8; 32]).await.unwrap(), None);
}

pub async fn due_stores_page_through_once<S: MarketplaceStores>(store: &S) {
    for n in 0..40 {
        let fresh = a_store(&format!("store {n}"));
        let sync = if n % 4 == 0 { fresh.sync.clone() } else { fresh.sync.watched_by(at(n)).unwrap() };
        store.save_store(None, &MarketplaceStore { sync, ..fresh }).await.unwrap();
    }
    let mut seen = BTreeSet::new();
    for bucket in 0..DUE_BUCKETS {
        let mut after: Option<DueStore> = None;
        loop {
            let page = store.due_stores(bucket, at(30), 2, after.as_ref()).await.unwrap();
            assert!(page.due.len() <= 2 && page.due.is_sorted_by_key(|due| due.due_at));
            for due in &page.due {
                assert!(due.due_at <= at(30) && seen.insert(due.id.clone()), "{due:?}");
            }
            after = page.due.last().cloned();
            if !page.more || after.is_none() {
                break;
            }
        }
    }
    let expected: BTreeSet<_> = (0..=30).filter(|n| n % 4 != 0).map(|n| store_id(&format!("store {n}"))).collect();
    assert_eq!(seen, expected);
}

pub async fn receipt_reads_back_whole<S: ReceiptStore>(store: &S) {
    let line = Line { sku: Sku::parse("a/b#c").unwrap(), location: LocationId::parse("main").unwrap(), units: 3 };
    let fresh = a_receipt("s", "order #1/🦀", at(0));
    let Claimed::Taken(claimed) = fresh.claim_first(at(1), "me", 1000) else { unreachable!() };
    let order = answered(&a_receipt("s", "order", at(0)), &an_order(vec![line]), at(3));
    let cancelled = Receipt { id: receipt_id("cancelled"), ..order.cancel(at(4)).unwrap().mark_short().unwrap() };
    let failed = answered(&a_receipt("s", "failed", at(0)), &an_error(ReceiptError::CurrencyMismatch), at(5));
    let limited = answered(&a_receipt("s", "limited", at(0)), &an_error(ReceiptError::RateLimited), at(6));
    for receipt in [*claimed, order, cancelled, failed, limited, a_receipt("s", "fresh", at(0))] {
        assert_eq!(store.load_receipt(&receipt.store, &receipt.id).await.unwrap(), None);
        assert_eq!(store.save_receipt(None, &receipt).await.unwrap(), ReceiptWrite::Saved);
        let stored = store.load_receipt(&receipt.store, &receipt.id).await.unwrap().unwrap();
        assert_eq!((stored.rev, stored.receipt), (1, receipt));
    }
    assert_eq!(store.load_receipt(&store_id("other"), &receipt_id("order")).await.unwrap(), None);
}

pub async fn receipt_is_written_under_its_rev<S: ReceiptStore>(store: &S) {
    let fresh = a_receipt("s", "r", at(0));
    let created = join_all((0..8).map(|_| store.save_receipt(None, &fresh))).await;
    assert_eq!(created.into_iter().filter(|write| matches!(write, Ok(ReceiptWrite::Saved))).count(), 1);
    let Claimed::Taken(claimed) = fresh.claim_first(at(1), "me", 1000) else { unreachable!() };
    let written = join_all((0..8).map(|_| store.save_receipt(Some(1), &claimed))).await;
    assert_eq!(written.into_iter().filter(|write| matches!(write, Ok(ReceiptWrite::Saved))).count(), 1);
    let ReceiptWrite::Conflict(Some(current)) = store.save_receipt(Some(1), &fresh).await.unwrap() else {
        unreachable!("somebody was faster")
    };
    assert_eq!((current.rev, current.receipt), (2, *claimed));
}

pub async fn due_receipts_page_through_once<S: ReceiptStore>(store: &S) {
    for n in 0..i64::try_from(RECEIPTS).unwrap() {
        let fresh = a_receipt("s", &format!("r{n}"), at(n));
        let receipt = match n % 5 {
            0 => answered(&fresh, &an_order(Vec::new()), at(n)),
            1 => fresh.cancel(at(n)).unwrap(),
            _ => fresh,
        };
        store.save_receipt(None, &receipt).await.unwrap();
        store.save_receipt(None, &a_receipt("other", &format!("r{n}"), at(n))).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut after: Option<DueReceipt> = None;
    loop {
        let page = store.due_receipts(&store_id("s"), at(22), 4, after.as_ref()).await.unwrap();
        assert!(page.due.len() <= 4);
        after = page.due.last().cloned();
        seen.extend(page.due.into_iter().map(|due| due.id));
        if !page.more || after.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..=22).filter(|n| n % 5 > 1).map(|n| receipt_id(&format!("r{n}"))).collect();
    assert_eq!(seen, expected);
}

pub async fn answers_are_listed_newest_first_and_counted<S: ReceiptStore>(store: &S) {
    let of = store_id("s");
    assert_eq!(sync_report(store, &of).await.unwrap().status, SyncStatus::Pending);
    for n in 0..i64::try_from(RECEIPTS).unwrap() {
        let fresh = a_receipt("s", &format!("r{n}"), at(n));
        let result = match n % 3 {
            0 => an_error(ReceiptError::RateLimited),
            1 => an_error(ReceiptError::InvalidReceipt),
            _ => an_order(Vec::new()),
        };
        store.save_receipt(None, &answered(&fresh, &result, at(100 + n))).await.unwrap();
    }
    let newest = store.latest_answers(&of, ReceiptState::Success, 3).await.unwrap();
    assert_eq!(newest, [at(123), at(120), at(117)]);
    assert_eq!(store.count_receipts(&of, ReceiptState::RateLimited).await.unwrap(), 9);
    assert_eq!(store.count_receipts(&of, ReceiptState::Success).await.unwrap(), 8);
    assert_eq!(store.orders_at(&of, at(120)).await.unwrap(), [receipt_id("r20")]);
    assert_eq!(store.orders_at(&of, at(121)).await.unwrap(), []);
    let report = sync_report(store, &of).await.unwrap();
    assert_eq!((report.last_sync_at, report.imported_orders, report.rate_limited_count), (Some(at(124)), 8, 9));
    assert_eq!(report.status, SyncStatus::Partial);
    // One that is settled moves from one count to the other.
    let limited = store.load_receipt(&of, &receipt_id("r0")).await.unwrap().unwrap();
    let Claimed::Taken(claimed) = limited.receipt.claim_due(at(10_000_000), "again", 1000) else { unreachable!() };
    store.save_receipt(Some(1), &claimed).await.unwrap();
    assert_eq!(store.count_receipts(&of, ReceiptState::RateLimited).await.unwrap(), 9, "it is asked about");
    let Completed::Moved(order) = claimed.complete("again", &an_order(Vec::new()), at(10_000_001), &RETRY) else {
        unreachable!()
    };
    store.save_receipt(Some(2), &order).await.unwrap();
    let report = sync_report(store, &of).await.unwrap();
    assert_eq!((report.imported_orders, report.rate_limited_count), (9, 8));
    assert_eq!(report.last_sync_at, Some(at(10_000_001)));
}

pub async fn receipts_page_by_name<S: ReceiptStore>(store: &S) {
    for n in 0..RECEIPTS {
        let fresh = a_receipt("s", &format!("r{n:02}#"), at(0));
        let result = if n % 2 == 0 { an_order(Vec::new()) } else { an_error(ReceiptError::InvalidReceipt) };
        store.save_receipt(None, &answered(&fresh, &result, at(1))).await.unwrap();
        store.save_receipt(None, &a_receipt("s#", &format!("r{n:02}"), at(0))).await.unwrap();
    }
    for (state, expected) in [(None, RECEIPTS), (Some(ReceiptState::Success), 13), (Some(ReceiptState::Pending), 0)] {
        let mut seen = Vec::new();
        let mut after: Option<ReceiptId> = None;
        loop {
            let page = store.list_receipts(&store_id("s"), state, 4, after.as_ref()).await.unwrap();
            assert!(page.receipts.len() <= 4);
            assert!(page.receipts.iter().all(|receipt| state.is_none_or(|state| receipt.state() == state)));
            seen.extend(page.receipts.into_iter().map(|receipt| receipt.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), expected, "{state:?}");
        assert!(seen.is_sorted() && seen.len() == expected);
    }
}

/// How marketplaces are asked in tests.
pub const fn policy() -> OrderPolicy {
    let breaker = BreakerConfig { threshold: 3, cooldown_ms: 900_000, probe_ms: 60_000 };
    OrderPolicy { retry: RETRY, breaker, claim_ms: 60_000 }
}

/// Registers a store and reads it.
pub async fn registered<S: MarketplaceStores>(store: &S, sealer: &MemorySealer, clock: &FixedClock) -> StoredStore {
    let asked = registration("id-1");
    let registered = register_store(store, sealer, clock, &asked).await.unwrap();
    let token = registered.sync_token.expose();
    store_of_token(store, token, Some(&asked.organization)).await.unwrap().unwrap()
}

/// A registration under a new name.
pub fn registration(new_id: &str) -> RegisterStore {
    RegisterStore {
        organization: organization(),
        marketplace: Marketplace::parse("etsy").unwrap(),
        external_id: store_id("ext"),
        name: "Store".to_owned(),
        currency: "USD".to_owned(),
        access_token: SecretText::new("secret token"),
        stock_signal: None,
        default_location: Some(LocationId::parse("main").unwrap()),
        webhook_secret: None,
        base_url: None,
        new_id: store_id(new_id),
        new_token: SecretText::new(format!("token of {new_id}")),
    }
}

pub async fn thirty_two_registrations_get_one_store<S: MarketplaceStores>(store: &S) {
    let (sealer, clock) = (MemorySealer::default(), FixedClock::at(at(0)));
    let names: Vec<_> = (0..32).map(|n| registration(&format!("id-{n}"))).collect();
    let all = join_all(names.iter().map(async |asked| register_store(store, &sealer, &clock, asked).await.unwrap()));
    let all = all.await;
    let pair = |registered: &crate::Registered| (registered.store.clone(), registered.sync_token.expose().to_owned());
    assert_eq!(all.iter().map(pair).collect::<BTreeSet<_>>().len(), 1);
    let (id, token) = pair(&all[0]);
    let found = store_of_token(store, &token, Some(&organization())).await.unwrap().unwrap();
    assert_eq!((&found.store.id, found.rev), (&id, 1), "the same settings are written once");
    let stranger = OrganizationId::parse("stranger").unwrap();
    assert_eq!(store_of_token(store, &token, Some(&stranger)).await.unwrap(), None);
    assert_eq!(store_of_token(store, "another", None).await.unwrap(), None);
    // Another access token is taken over, and everything else stays.
    let changed = RegisterStore { access_token: SecretText::new("new token"), ..registration("id-x") };
    let changed = RegisterStore { default_location: None, ..changed };
    assert_eq!(pair(&register_store(store, &sealer, &clock, &changed).await.unwrap()), (id, token));
    let now = store.load_store(&found.store.id).await.unwrap().unwrap().store;
    assert_eq!(now.account(&sealer).await.unwrap().access_token.expose(), "new token");
    assert_eq!(now.settings.default_location.as_str(), "main");
}

/// An order of some units of `sku`.
pub fn accepted(units: i64) -> Validation {
    let line =
        ValidatedLine { sku: Sku::parse("sku").unwrap(), quantity: Quantity::new(units).unwrap(), location: None };
    Validation::Accepted(ValidatedOrder {
        order_id: "order-1".to_owned(),
        amount: Amount::parse("10.50").unwrap(),
        currency: "USD".to_owned(),
        imported_at: at(0),
        lines: vec![line],
        cancelled: false,
    })
}

pub async fn thirty_two_imports_make_one_call<S>(store: &S)
where
    S: MarketplaceStores + ReceiptStore + BreakerStore,
{
    let (sealer, clock) = (MemorySealer::default(), FixedClock::at(at(0)));
    let of = registered(store, &sealer, &clock).await;
    let marketplace = ScriptedMarketplace::default().then(Ok(accepted(1)));
    let deps = OrderDeps { store, marketplace: &marketplace, sealer: &sealer, clock: &clock, policy: policy() };
    let tokens: Vec<_> = (0..32).map(|n| format!("import {n}")).collect();
    let id = receipt_id("order-101");
    let all = join_all(tokens.iter().map(|token| import_order(deps, &of, &id, token))).await;
    let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(marketplace.asked(), ["order-101"]);
    assert!(all.iter().all(|imported| *imported == all[0]), "{all:?}");
    let Imported::Answered(receipt) = &all[0] else { unreachable!("{all:?}") };
    assert_eq!((receipt.state(), receipt.calls), (ReceiptState::Success, 1));
    assert_eq!(import_order(deps, &of, &id, "later").await.unwrap(), all[0]);
    assert_eq!(marketplace.asked().len(), 1);
}

pub async fn oversold_order_is_marked_short<S>(store: &S)
where
    S: MarketplaceStores + ReceiptStore + BreakerStore + StockStore,
{
    let (sealer, clock) = (MemorySealer::default(), FixedClock::at(at(0)));
    let of = registered(store, &sealer, &clock).await;
    let marketplace = ScriptedMarketplace::default().then(Ok(accepted(2)));
    let deps = OrderDeps { store, marketplace: &marketplace, sealer: &sealer, clock: &clock, policy: policy() };
    let Imported::Answered(receipt) = import_order(deps, &of, &receipt_id("r"), "me").await.unwrap() else {
        unreachable!()
    };
    let changes: Vec<StockChange> = receipt_consequences(None, &receipt).changes;
    assert_eq!(changes.len(), 1);
    let (level, event) = changes[0].to_event(&ids()).unwrap();
    let level = evenstock_domain::LevelKey { organization: organization(), ..level };
    assert_eq!((&level.sku, &level.location), (&key("sku", "main").sku, &key("sku", "main").location));
    assert_eq!(apply_group(store, &clock, &level, &[event]).await.outcomes.len(), 1);
    let stored = store.load(&level).await.unwrap().unwrap().level;
    assert_eq!(stored.available, -2);
    let sales = oversold_sales(&level, &stored, 0);
    assert_eq!(sales.len(), 1);
    assert_eq!(oversold_sales(&level, &stored, stored.version), [], "only what was gained");
    assert_eq!(mark_short_orders(store, &clock, &ids(), &sales).await.unwrap(), 1);
    assert_eq!(mark_short_orders(store, &clock, &ids(), &sales).await.unwrap(), 0, "once");
    let marked = store.load_receipt(&of.store.id, &receipt.id).await.unwrap().unwrap().receipt;
    assert!(marked.short);
    assert_eq!(receipt_consequences(Some(&receipt), &marked).changes, []);
}

pub async fn sync_asks_about_every_receipt_once<S>(store: &S)
where
    S: MarketplaceStores + ReceiptStore + BreakerStore,
{
    let (sealer, clock) = (MemorySealer::default(), FixedClock::at(at(0)));
    let of = registered(store, &sealer, &clock).await;
    for n in 0..RECEIPTS {
        crate::note_receipt(store, &clock, &of, &receipt_id(&format!("r{n}"))).await.unwrap();
    }
    let marketplace = ScriptedMarketplace::default();
    let deps = OrderDeps { store, marketplace: &marketplace, sealer: &sealer, clock: &clock, policy: policy() };
    let limits = SyncLimits { page: 10, slice_ms: 45_000, lease_ms: 900_000 };
    let queue = MemoryQueue::default();
    let jobs = ["one", "two", "three"];
    let worked = join_all(jobs.map(|job| sync_store(deps, &queue, &of.store.id, (job, job), limits))).await;
    let answered: u32 = worked.iter().map(|worked| worked.counters.processed).sum();
    assert_eq!(answered as usize, RECEIPTS, "each is counted by whoever got its answer");
    let worked: Vec<_> = worked.into_iter().map(|worked| worked.outcome.unwrap()).collect();
    assert!(worked.contains(&SyncOutcome::Completed), "{worked:?}");
    let asked = marketplace.asked();
    assert_eq!((asked.len(), asked.iter().collect::<BTreeSet<_>>().len()), (RECEIPTS, RECEIPTS));
    let report = sync_report(store, &of.store.id).await.unwrap();
    assert_eq!((report.status, report.last_sync_at), (SyncStatus::Failed, Some(clock.now())));
    let run = store.load_store(&of.store.id).await.unwrap().unwrap().store.sync.run.unwrap();
    assert_eq!((run.counters.processed, run.counters.failed), (25, 25));
}
