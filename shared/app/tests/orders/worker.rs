//! Jobs of stores: slices, leases, dead workers, many receipts.

use core::pin::pin;
use core::task::{Context, Poll, Waker};

use evenstock_app::testing::contract::registration;
use evenstock_app::testing::{Fault, FaultyStore, MemoryStore, ScriptedMarketplace};
use evenstock_app::{
    EnqueueReport, MarketplaceError, MarketplaceStores, QueueName, ReceiptStore, ReceiptWrite, RegisterStore,
    SweepLimits, SyncLimits, SyncOutcome, enqueue_due_stores, note_receipt, register_store, store_announcements,
    sync_store,
};
use evenstock_domain::{Claimed, Completed, DUE_BUCKETS, Receipt, ReceiptState, RetryPolicy, StoreId, SyncRunState};

use crate::rig::{CountingMarketplace, LIMITS, Rig, id, order, rig, start};

type Counted = Rig<MemoryStore, CountingMarketplace>;

async fn noted(count: usize) -> Counted {
    let rig = rig(MemoryStore::default(), CountingMarketplace::default()).await;
    for n in 0..count {
        note_receipt(&rig.store, &rig.clock, &rig.of, &id(&format!("r{n}"))).await.unwrap();
    }
    rig
}

async fn tick<M>(rig: &Rig<MemoryStore, M>) -> EnqueueReport {
    let limits = SweepLimits { page: 10, until: start().plus_millis(i64::from(i32::MAX) * 1000) };
    enqueue_due_stores(&rig.store, &rig.queue, &rig.clock, limits).await.unwrap()
}

async fn work(rig: &Counted, job: &str) -> SyncOutcome {
    sync_store(rig.deps(), &rig.queue, &rig.of.store.id, (job, job), LIMITS).await.outcome.unwrap()
}

#[tokio::test]
async fn worker_killed_at_any_point_is_followed_by_another_and_no_answer_counts_twice() {
    for steps in (0..700).step_by(23) {
        let rig = noted(12).await;
        {
            let mut killed = pin!(work(&rig, "killed"));
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..steps {
                if let Poll::Ready(outcome) = killed.as_mut().poll(&mut context) {
                    assert_eq!(outcome, SyncOutcome::Completed);
                    break;
                }
            }
        }
        // The same message comes again after the claims have lapsed; the lease is its own.
        rig.clock.advance_ms(390_000);
        assert_eq!(work(&rig, "killed").await, SyncOutcome::Completed, "killed after {steps} steps");
        for receipt in rig.store.receipts() {
            assert_eq!(receipt.state(), ReceiptState::Success, "killed after {steps} steps");
        }
        assert_eq!(rig.available().await, -12);
    }
}

#[tokio::test]
async fn another_job_waits_for_the_lease_of_a_dead_one_and_then_goes_on_with_its_run() {
    let rig = noted(30).await;
    {
        let mut killed = pin!(work(&rig, "killed"));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..60 {
            assert!(killed.as_mut().poll(&mut context).is_pending());
        }
    }
    let begun = rig.store.load_store(&rig.of.store.id).await.unwrap().unwrap().store;
    let run = begun.sync.run.clone().unwrap();
    assert_eq!(run.state, SyncRunState::Started);
    assert_eq!(work(&rig, "other").await, SyncOutcome::NotLeased);
    rig.clock.advance_ms(900_000);
    assert_eq!(work(&rig, "other").await, SyncOutcome::Completed);
    let ended = rig.store.load_store(&rig.of.store.id).await.unwrap().unwrap().store;
    let last = ended.sync.run.clone().unwrap();
    assert_eq!((last.id.as_str(), last.state), (run.id.as_str(), SyncRunState::Completed));
    let told = store_announcements(Some(&begun), &ended);
    assert_eq!(told.iter().map(|told| told.event.as_str()).collect::<Vec<_>>(), ["sync.completed"]);
    assert_eq!(told, store_announcements(Some(&begun), &ended), "the same names each time");
    assert_eq!(store_announcements(Some(&ended), &ended), [], "a later write of the store tells of no run again");
}

#[tokio::test]
async fn lost_claim_cannot_be_completed_by_its_old_owner() {
    let rig = noted(1).await;
    let first = rig.receipt("r0").await;
    let policy = RetryPolicy { base_ms: 1000, max_ms: 1000, calls_max: 10 };
    let Claimed::Taken(old) = first.claim_due(start(), "old", 1000) else { panic!() };
    let Claimed::Taken(new) = old.claim_due(start().plus_millis(1000), "new", 1000) else { panic!() };
    let result = evenstock_domain::CallResult::NotMade { until: start() };
    assert_eq!(new.complete("old", &result, start(), &policy), Completed::Lost);
    assert!(matches!(new.complete("new", &result, start(), &policy), Completed::Moved(_)));
}

#[tokio::test]
async fn two_schedulers_at_once_send_one_job_and_a_lost_job_is_sent_again() {
    let rig = noted(1).await;
    let (one, other) = futures::join!(tick(&rig), tick(&rig));
    assert_eq!(one.enqueued_jobs + other.enqueued_jobs, 1);
    assert_eq!(rig.queue.bodies(QueueName::StoreSync), [format!("{{\"storeId\":\"{}\"}}", rig.of.store.id)]);
    rig.clock.advance_ms(299_999);
    assert_eq!(tick(&rig).await.enqueued_jobs, 0, "it is on its way");
    rig.clock.advance_ms(1);
    assert_eq!(tick(&rig).await.enqueued_jobs, 1, "it is lost");
    rig.queue.set_down(true);
    rig.clock.advance_ms(300_000);
    assert_eq!(tick(&rig).await.failed, 1);
    rig.queue.set_down(false);
    rig.clock.advance_ms(300_000);
    assert_eq!(tick(&rig).await.enqueued_jobs, 1);
}

/// So many stores that two of them are in one group, of which a page lists one.
#[tokio::test]
async fn every_due_store_of_a_group_is_queued_by_one_run() {
    let rig = noted(0).await;
    let count = u32::from(DUE_BUCKETS) + 1;
    for n in 0..count {
        let external_id = StoreId::parse(&format!("ext-{n}")).unwrap();
        let asked = RegisterStore { external_id, ..registration(&format!("due-{n}")) };
        let registered = register_store(&rig.store, &rig.sealer, &rig.clock, &asked).await.unwrap();
        let of = rig.store.load_store(&registered.store).await.unwrap().unwrap();
        note_receipt(&rig.store, &rig.clock, &of, &id("r")).await.unwrap();
    }
    let limits = SweepLimits { page: 1, until: start().plus_millis(60_000) };
    let report = enqueue_due_stores(&rig.store, &rig.queue, &rig.clock, limits).await.unwrap();
    assert_eq!(report, EnqueueReport { scanned_stores: count, enqueued_jobs: count, failed: 0, finished: true });
    assert_eq!(rig.queue.bodies(QueueName::StoreSync).len(), count as usize);
}

#[tokio::test]
async fn job_that_our_store_let_down_leaves_its_lease_to_the_next_at_once() {
    let Rig { store, marketplace, sealer, clock, queue, of } = noted(1).await;
    let mut lists = 0;
    let plan = move |operation| {
        lists += u32::from(operation == "due_receipts");
        if operation == "due_receipts" && lists == 1 { Fault::Corrupt } else { Fault::None }
    };
    let rig = Rig { store: FaultyStore::new(store, plan), marketplace, sealer, clock, queue, of };
    let job = async |name| sync_store(rig.deps(), &rig.queue, &rig.of.store.id, (name, name), LIMITS).await.outcome;
    job("let down").await.unwrap_err();
    assert_eq!(job("next").await.unwrap(), SyncOutcome::Completed);
    assert_eq!(rig.marketplace.asked().len(), 1);
}

#[tokio::test]
async fn settled_store_is_watched_no_more_and_waiting_ones_are_looked_at_in_time() {
    let rig = noted(1).await;
    let watch = async || rig.store.load_store(&rig.of.store.id).await.unwrap().unwrap().store.sync.watch;
    assert_eq!(work(&rig, "1").await, SyncOutcome::Completed);
    assert!(watch().await.is_some_and(|watch| watch.idle), "once more, for what the index does not show yet");
    rig.clock.advance_ms(60_000);
    assert_eq!(tick(&rig).await.enqueued_jobs, 1);
    assert_eq!(work(&rig, "2").await, SyncOutcome::Completed);
    assert_eq!(watch().await, None);
    // A rate-limited receipt is due after five minutes.
    let limited = rig.import("l", "import").await;
    assert_eq!(limited.state(), ReceiptState::RateLimited);
    for job in ["3", "4"] {
        rig.clock.advance_ms(60_000);
        work(&rig, job).await;
    }
    assert_eq!(watch().await.map(|watch| watch.due_at), limited.next_retry_at);
    rig.clock.advance_ms(180_000);
    assert_eq!(tick(&rig).await.enqueued_jobs, 1);
    work(&rig, "5").await;
    assert_eq!(rig.receipt("l").await.state(), ReceiptState::Success);
    assert_eq!(rig.available().await, -2);
}

/// An index shows a receipt late, which is as if it were written late, by somebody whom the watch has been set for already.
#[tokio::test]
async fn store_is_watched_on_after_a_look_that_found_what_the_one_before_had_not_seen() {
    let rig = noted(1).await;
    let watch = async || rig.store.load_store(&rig.of.store.id).await.unwrap().unwrap().store.sync.watch;
    let late = Receipt { id: id("late"), ..rig.receipt("r0").await };
    assert_eq!(work(&rig, "1").await, SyncOutcome::Completed);
    rig.clock.advance_ms(60_000);
    assert_eq!(rig.store.save_receipt(None, &late).await.unwrap(), ReceiptWrite::Saved);
    assert_eq!(work(&rig, "2").await, SyncOutcome::Completed);
    assert_eq!(rig.receipt("late").await.state(), ReceiptState::Success);
    assert!(watch().await.is_some_and(|watch| watch.idle), "what this look wrote may not show yet");
    rig.clock.advance_ms(60_000);
    assert_eq!(work(&rig, "3").await, SyncOutcome::Completed);
    assert_eq!(watch().await, None);
}

#[tokio::test]
async fn slice_that_is_over_hands_the_store_to_a_continuation() {
    let rig = noted(25).await;
    let limits = SyncLimits { slice_ms: 0, ..LIMITS };
    let outcome = sync_store(rig.deps(), &rig.queue, &rig.of.store.id, ("a", "a"), limits).await.outcome.unwrap();
    assert_eq!(outcome, SyncOutcome::HandedOn);
    assert_eq!(rig.queue.bodies(QueueName::StoreSync).len(), 1);
    assert_eq!(tick(&rig).await.enqueued_jobs, 0, "the continuation is on its way");
    assert_eq!(work(&rig, "b").await, SyncOutcome::Completed);
    assert_eq!(rig.marketplace.asked().len(), 25);
}

#[tokio::test]
async fn marketplace_that_cannot_be_asked_ends_the_run_and_spares_the_rest() {
    let down = || Err(MarketplaceError::Unavailable { reason: "500".to_owned(), retry_after_seconds: None });
    let script = (0..20).fold(ScriptedMarketplace::default(), |script, _| script.then(down()));
    let rig = rig(MemoryStore::default(), script).await;
    for n in 0..50 {
        note_receipt(&rig.store, &rig.clock, &rig.of, &id(&format!("r{n}"))).await.unwrap();
    }
    let outcome = sync_store(rig.deps(), &rig.queue, &rig.of.store.id, ("a", "a"), LIMITS).await.outcome.unwrap();
    assert_eq!(outcome, SyncOutcome::Failed(start().plus_millis(900_000)));
    assert!(rig.marketplace.asked().len() <= 8, "{:?}", rig.marketplace.asked());
    let sync = rig.store.load_store(&rig.of.store.id).await.unwrap().unwrap().store.sync;
    assert_eq!(sync.run.map(|run| run.state), Some(SyncRunState::Failed));
    assert_eq!(sync.lease, None);
}

#[tokio::test]
async fn ten_thousand_receipts_are_worked_through_page_by_page() {
    let rig = noted(10_000).await;
    assert_eq!(work(&rig, "a").await, SyncOutcome::Completed);
    assert_eq!(rig.marketplace.asked().len(), 10_000);
    assert_eq!(rig.store.count_receipts(&rig.of.store.id, ReceiptState::Success).await.unwrap(), 10_000);
    let run = rig.store.load_store(&rig.of.store.id).await.unwrap().unwrap().store.sync.run.unwrap();
    assert_eq!((run.counters.processed, run.counters.success), (10_000, 10_000));
}

#[tokio::test]
async fn failed_receipt_is_given_up_after_ten_calls_and_a_limited_one_never() {
    let refused = (0..30).map(|_| Ok(evenstock_app::Validation::Refused)).collect();
    let rig = Rig::with(refused).await;
    rig.import("f", "me").await;
    for job in 0..12 {
        rig.clock.advance_ms(3_600_000);
        let job = job.to_string();
        sync_store(rig.deps(), &rig.queue, &rig.of.store.id, (&job, &job), LIMITS).await.outcome.unwrap();
    }
    let given_up = rig.receipt("f").await;
    assert_eq!((given_up.calls, given_up.next_retry_at), (10, None));
    let waits: Vec<_> = (1..=6).map(|call| evenstock_app::testing::contract::policy().retry.wait_ms(call)).collect();
    assert_eq!(waits, [300_000, 600_000, 1_200_000, 2_400_000, 3_600_000, 3_600_000]);
    let limited = || Err(MarketplaceError::RateLimited { retry_after_seconds: None });
    let script = (0..14).map(|_| limited()).chain([Ok(order("o", "USD", 1, false))]).collect();
    let rig = Rig::with(script).await;
    rig.import("l", "me").await;
    for job in 0..14 {
        rig.clock.advance_ms(3_600_000);
        let job = job.to_string();
        sync_store(rig.deps(), &rig.queue, &rig.of.store.id, (&job, &job), LIMITS).await.outcome.unwrap();
    }
    let settled = rig.receipt("l").await;
    assert_eq!((settled.calls, settled.state()), (15, ReceiptState::Success));
}
