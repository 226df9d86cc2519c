//! What meets while an import or a job is under way: each race at each point where it can come in between.

use core::pin::pin;
use std::sync::Mutex;

use evenstock_app::testing::contract::registration;
use evenstock_app::testing::worlds::{meeting, turns, turns_until};
use evenstock_app::testing::{FixedClock, MemoryStore};
use evenstock_app::{
    BreakerStore, Imported, MarketplaceAccount, MarketplaceError, MarketplaceStores, OrderMarketplace, ReceiptStore,
    RegisterStore, SecretText, SweepLimits, SyncLimits, SyncOutcome, Validation, cancel_order, enqueue_due_stores,
    import_order, note_receipt, register_store, sync_store,
};
use evenstock_domain::{OrderStock, ReceiptState};

use crate::rig::{CountingMarketplace, LIMITS, Rig, id, order, rig, start};

type Counted = Rig<MemoryStore, CountingMarketplace>;

/// More turns than anything here takes.
const TURNS: usize = 60;

async fn counted() -> Counted {
    rig(MemoryStore::default(), CountingMarketplace::default()).await
}

async fn noted(count: usize) -> Counted {
    let rig = counted().await;
    for n in 0..count {
        note_receipt(&rig.store, &rig.clock, &rig.of, &id(&format!("r{n}"))).await.unwrap();
    }
    rig
}

async fn job<S, M>(rig: &Rig<S, M>, name: &str, limits: SyncLimits) -> SyncOutcome
where
    S: MarketplaceStores + ReceiptStore + BreakerStore,
    M: OrderMarketplace,
{
    sync_store(rig.deps(), &rig.queue, &rig.of.store.id, (name, name), limits).await.outcome.unwrap()
}

#[tokio::test]
async fn importer_killed_at_any_point_leaves_a_receipt_that_the_worker_settles() {
    for killed_after in 0..TURNS {
        let rig = counted().await.yielding();
        let name = id("r");
        turns(pin!(import_order(rig.deps(), &rig.of, &name, "killed")), killed_after);
        let rig = rig.at_rest();
        if rig.store.receipts().is_empty() {
            continue;
        }
        rig.clock.advance_ms(60_000);
        let limits = SweepLimits { page: 10, until: start().plus_millis(i64::from(i32::MAX)) };
        enqueue_due_stores(&rig.store, &rig.queue, &rig.clock, limits).await.unwrap();
        let was_settled = rig.receipt("r").await.state() == ReceiptState::Success;
        let queued = rig.queue.bodies(evenstock_app::QueueName::StoreSync).len();
        assert!(was_settled || queued == 1, "nobody looks after a kill after {killed_after} turns");
        job(&rig, "job", LIMITS).await;
        assert_eq!(rig.receipt("r").await.state(), ReceiptState::Success, "killed after {killed_after} turns");
        assert_eq!(rig.available().await, -1);
    }
}

#[tokio::test]
async fn cancellation_at_any_point_of_an_import_leaves_the_stock_as_it_was() {
    for meets_after in 0..TURNS {
        let rig = counted().await.yielding();
        let name = id("r");
        let met = meeting(
            import_order(rig.deps(), &rig.of, &name, "importer"),
            meets_after,
            cancel_order(&rig.store, &rig.clock, &rig.of, &name),
        );
        let (imported, cancelled) = met.await;
        assert!(matches!(imported.unwrap(), Imported::Answered(_)), "after {meets_after} turns");
        assert!(cancelled.unwrap().cancelled_at.is_some());
        let rig = rig.at_rest();
        let receipt = rig.receipt("r").await;
        assert_eq!((receipt.state(), receipt.stock()), (ReceiptState::Success, Some(OrderStock::Returned)));
        assert_eq!((rig.available().await, rig.marketplace.asked()["r"]), (0, 1), "after {meets_after} turns");
    }
}

#[tokio::test]
async fn registration_at_any_point_of_an_import_is_kept_and_so_is_the_answer() {
    for meets_after in 0..TURNS {
        let rig = counted().await.yielding();
        let name = id("r");
        let renewed = RegisterStore { access_token: SecretText::new("new"), ..registration("id-2") };
        let met = meeting(
            import_order(rig.deps(), &rig.of, &name, "importer"),
            meets_after,
            register_store(&rig.store, &rig.sealer, &rig.clock, &renewed),
        );
        let (imported, registered) = met.await;
        assert!(matches!(imported.unwrap(), Imported::Answered(_)), "after {meets_after} turns");
        assert_eq!(registered.unwrap().store, rig.of.store.id);
        let rig = rig.at_rest();
        let store = rig.store.load_store(&rig.of.store.id).await.unwrap().unwrap().store;
        assert_eq!(store.account(&rig.sealer).await.unwrap().access_token.expose(), "new");
        assert!(store.sync.watch.is_some(), "the watch of the import is not lost, after {meets_after} turns");
        assert_eq!(rig.available().await, -1);
    }
}

#[tokio::test]
async fn receipt_that_two_import_at_once_is_asked_about_once() {
    for meets_after in 0..TURNS {
        let rig = counted().await.yielding();
        let name = id("r");
        let met = meeting(
            Box::pin(import_order(rig.deps(), &rig.of, &name, "one")),
            meets_after,
            Box::pin(import_order(rig.deps(), &rig.of, &name, "other")),
        );
        let (one, other) = met.await;
        for imported in [one.unwrap(), other.unwrap()] {
            assert!(matches!(imported, Imported::Answered(_)), "after {meets_after} turns");
        }
        assert_eq!(rig.marketplace.asked()["r"], 1, "after {meets_after} turns");
    }
}

/// Answers whoever shows any token, and keeps what was shown.
#[derive(Debug, Default)]
struct Doorman(Mutex<Vec<String>>);

impl OrderMarketplace for Doorman {
    async fn validate(&self, account: &MarketplaceAccount, _receipt: &str) -> Result<Validation, MarketplaceError> {
        self.0.lock().unwrap().push(account.access_token.expose().to_owned());
        tokio::task::yield_now().await;
        Ok(order("o", "USD", 1, false))
    }
}

#[tokio::test]
async fn token_that_is_registered_while_a_job_runs_is_shown_from_the_next_page_on() {
    let rig = rig(MemoryStore::default(), Doorman::default()).await;
    for n in 0..30 {
        note_receipt(&rig.store, &rig.clock, &rig.of, &id(&format!("r{n}"))).await.unwrap();
    }
    let mut running = pin!(job(&rig, "job", LIMITS));
    turns_until(running.as_mut(), || !rig.marketplace.0.lock().unwrap().is_empty());
    let renewed = RegisterStore { access_token: SecretText::new("new"), ..registration("id-2") };
    register_store(&rig.store, &rig.sealer, &rig.clock, &renewed).await.unwrap();
    assert_eq!(running.await, SyncOutcome::Completed);
    let shown = rig.marketplace.0.lock().unwrap().clone();
    assert_eq!(shown.iter().filter(|token| *token == "secret token").count(), 10, "the page that was begun");
    assert_eq!(shown.iter().filter(|token| *token == "new").count(), 20);
    let store = rig.store.load_store(&rig.of.store.id).await.unwrap().unwrap().store;
    assert_eq!(store.account(&rig.sealer).await.unwrap().access_token.expose(), "new", "the job took nothing back");
    assert_eq!(rig.available().await, -30);
}

#[tokio::test]
async fn job_that_lost_its_store_in_mid_batch_goes_on_to_no_effect() {
    for meets_after in (1..800).step_by(17) {
        let rig = noted(12).await.yielding();
        let believed = {
            let mut old = pin!(job(&rig, "old", LIMITS));
            if let Some(done) = turns(old.as_mut(), meets_after) {
                assert_eq!(done, SyncOutcome::Completed);
                break;
            }
            // Longer than its lease and its claims.
            rig.clock.advance_ms(900_000);
            assert_eq!(job(&rig, "new", LIMITS).await, SyncOutcome::Completed);
            let believed = rig.store.inner().receipts();
            assert!(believed.iter().all(|receipt| receipt.state() == ReceiptState::Success));
            let outcome = old.await;
            assert!(matches!(outcome, SyncOutcome::NotLeased | SyncOutcome::Completed), "{outcome:?}");
            believed
        };
        let rig = rig.at_rest();
        assert_eq!(rig.store.receipts(), believed, "lost after {meets_after} turns");
        assert_eq!(rig.available().await, -12);
    }
}

#[tokio::test]
async fn worker_killed_at_any_call_is_followed_by_the_next_delivery() {
    for killed_after in (0..400).step_by(3) {
        let rig = noted(5).await.yielding();
        let is_done = turns(pin!(job(&rig, "message", LIMITS)), killed_after).is_some();
        // The same message comes again; the lease is its own, and the claims have lapsed.
        rig.clock.advance_ms(390_000);
        assert_eq!(job(&rig, "message", LIMITS).await, SyncOutcome::Completed, "killed after {killed_after} turns");
        let rig = rig.at_rest();
        assert!(rig.store.receipts().iter().all(|receipt| receipt.state() == ReceiptState::Success));
        assert_eq!(rig.available().await, -5, "killed after {killed_after} turns");
        if is_done {
            break;
        }
    }
}

/// Refuses the credentials for one receipt soon, and takes its time for the others.
#[derive(Debug, Default)]
struct Moody(Mutex<u32>);

impl OrderMarketplace for Moody {
    async fn validate(&self, _account: &MarketplaceAccount, receipt: &str) -> Result<Validation, MarketplaceError> {
        *self.0.lock().unwrap() += 1;
        let is_first = receipt == "r0";
        for _ in 0..if is_first { 3 } else { 50 } {
            tokio::task::yield_now().await;
        }
        if is_first { Err(MarketplaceError::Unauthorized) } else { Ok(order("o", "USD", 1, false)) }
    }
}

#[tokio::test]
async fn answers_on_their_way_are_kept_when_a_page_ends_early() {
    let rig = rig(MemoryStore::default(), Moody::default()).await;
    for n in 0..10 {
        note_receipt(&rig.store, &rig.clock, &rig.of, &id(&format!("r{n}"))).await.unwrap();
    }
    assert!(matches!(job(&rig, "job", LIMITS).await, SyncOutcome::Failed(_)));
    let asked = *rig.marketplace.0.lock().unwrap();
    assert_eq!(asked, 4, "those were under way; the others are spared");
    let receipts = rig.store.receipts();
    assert_eq!(receipts.iter().filter(|receipt| receipt.order().is_some()).count(), 3);
    assert!(receipts.iter().all(|receipt| receipt.claim.is_none()), "nobody is kept waiting");
    let run = rig.store.load_store(&rig.of.store.id).await.unwrap().unwrap().store.sync.run.unwrap();
    assert_eq!(run.counters.processed, asked);
}

#[tokio::test]
async fn last_page_that_was_not_finished_is_no_completed_run() {
    let rig = counted().await;
    for n in 0..3 {
        note_receipt(&rig.store, &rig.clock, &rig.of, &id(&format!("r{n}"))).await.unwrap();
    }
    let out_of_time = SyncLimits { slice_ms: 0, ..LIMITS };
    assert_eq!(job(&rig, "a", out_of_time).await, SyncOutcome::HandedOn);
    assert_eq!(job(&rig, "b", LIMITS).await, SyncOutcome::Completed);
    assert_eq!(rig.marketplace.asked().len(), 3);
}

#[tokio::test]
async fn token_that_cannot_be_opened_now_keeps_nobody_off() {
    let rig = counted().await;
    rig.sealer.set_down(true);
    let failed = import_order(rig.deps(), &rig.of, &id("r"), "me").await.unwrap_err();
    assert!(failed.is_passing());
    assert_eq!(rig.store.receipts(), []);
    rig.sealer.set_down(false);
    assert_eq!(rig.import("r", "again").await.calls, 1);
}

/// Two processes whose clocks differ by more than a call takes.
#[tokio::test]
async fn cancellation_by_a_clock_that_is_ahead_keeps_the_import_from_taking_anything() {
    let rig = counted().await;
    let name = id("r");
    let mut import = pin!(import_order(rig.deps(), &rig.of, &name, "importer"));
    turns_until(import.as_mut(), || !rig.marketplace.asked().is_empty());
    let ahead = FixedClock::at(start().plus_millis(5000));
    cancel_order(&rig.store, &ahead, &rig.of, &name).await.unwrap();
    assert!(matches!(import.await.unwrap(), Imported::Answered(_)));
    let receipt = rig.receipt("r").await;
    // Taken now and returned later, by the clocks, a count in between would know only one of the two.
    assert_eq!((receipt.stock(), receipt.taken()), (Some(OrderStock::Returned), None));
    assert_eq!(rig.available().await, 0);
}

/// An answer that its marketplace repeats differently, for a claim that was taken over, is not believed.
#[tokio::test]
async fn answer_that_comes_after_its_claim_was_taken_over_gives_the_callers_the_one_that_counts() {
    let rig = counted().await;
    let name = id("r");
    let mut slow = pin!(import_order(rig.deps(), &rig.of, &name, "slow"));
    turns_until(slow.as_mut(), || !rig.marketplace.asked().is_empty());
    rig.clock.advance_ms(60_000);
    let heir = rig.import("r", "heir").await;
    let Imported::Answered(late) = slow.await.unwrap() else { panic!("it was answered") };
    assert_eq!((&*late, rig.marketplace.asked()["r"]), (&heir, 2), "twins get equal answers");
    assert_eq!(rig.available().await, -1);
}

#[tokio::test]
async fn importer_whose_claim_was_taken_over_gives_no_receipt_that_its_heir_still_asks_about() {
    let rig = counted().await;
    let name = id("r");
    let mut slow = pin!(import_order(rig.deps(), &rig.of, &name, "slow"));
    turns_until(slow.as_mut(), || !rig.marketplace.asked().is_empty());
    rig.clock.advance_ms(60_000);
    let mut heir = pin!(import_order(rig.deps(), &rig.of, &name, "heir"));
    turns_until(heir.as_mut(), || rig.marketplace.asked()["r"] == 2);
    assert_eq!(slow.await.unwrap(), Imported::Busy, "it has no time left to wait for its heir");
    let Imported::Answered(receipt) = heir.await.unwrap() else { panic!("it was answered") };
    assert_eq!(receipt.state(), ReceiptState::Success);
}

/// An index shows a write late, which is as if the write came late: the jobs look, find nothing, and then it is there.
#[tokio::test]
async fn receipt_that_no_job_of_a_minute_could_see_yet_is_looked_at_all_the_same() {
    for meets_after in 0..TURNS {
        // A message that comes twice, one that was sent twice, and an early retry.
        for (jobs, apart_ms) in [(&["a", "a"], 0), (&["a", "b"], 0), (&["a", "b"], 25_000)] {
            let rig = counted().await.yielding();
            let name = id("r");
            let mut notice = pin!(note_receipt(&rig.store, &rig.clock, &rig.of, &name));
            let noted = turns(notice.as_mut(), meets_after);
            for owner in jobs {
                job(&rig, owner, LIMITS).await;
                rig.clock.advance_ms(apart_ms);
            }
            match noted {
                Some(noted) => noted.unwrap(),
                None => notice.await.unwrap(),
            }
            rig.clock.advance_ms(60_000);
            let limits = SweepLimits { page: 10, until: start().plus_millis(i64::from(i32::MAX)) };
            let queued = enqueue_due_stores(rig.store.inner(), &rig.queue, &rig.clock, limits).await.unwrap();
            let state = rig.store.inner().receipts()[0].state();
            let is_looked_at = state == ReceiptState::Success || queued.enqueued_jobs == 1;
            assert!(is_looked_at, "jobs {jobs:?}, {apart_ms} ms apart, met it after {meets_after} turns");
        }
    }
}

/// What counts is when a job began to look, not when it came to its end.
#[tokio::test]
async fn receipt_that_shows_while_a_job_hangs_is_looked_at_all_the_same() {
    for (noted_after, hangs_after) in (0..10).flat_map(|noted| (0..12).map(move |hangs| (noted, hangs))) {
        let rig = counted().await.yielding();
        let name = id("r");
        let mut notice = pin!(note_receipt(&rig.store, &rig.clock, &rig.of, &name));
        let noted = turns(notice.as_mut(), noted_after);
        job(&rig, "a", LIMITS).await;
        rig.clock.advance_ms(30_000);
        let mut hanging = pin!(job(&rig, "b", LIMITS));
        let ended = turns(hanging.as_mut(), hangs_after);
        match noted {
            Some(noted) => noted.unwrap(),
            None => notice.await.unwrap(),
        }
        rig.clock.advance_ms(40_000);
        if ended.is_none() {
            hanging.await;
        }
        rig.clock.advance_ms(60_000);
        let limits = SweepLimits { page: 10, until: start().plus_millis(i64::from(i32::MAX)) };
        let queued = enqueue_due_stores(rig.store.inner(), &rig.queue, &rig.clock, limits).await.unwrap();
        let state = rig.store.inner().receipts()[0].state();
        let is_looked_at = state == ReceiptState::Success || queued.enqueued_jobs == 1;
        assert!(is_looked_at, "noted after {noted_after} turns, a job hung after {hangs_after}");
    }
}
