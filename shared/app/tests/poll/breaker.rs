//! When the marketplace is asked at all: due, allowed by the breaker, and not told to wait.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use evenstock_app::testing::{MemoryStore, ScriptedFeed};
use evenstock_app::{
    BreakerStore, Circuit, FeedError, FeedPage, PollOutcome, PollTrigger, StockFeed, StoreError, report_failure,
};
use evenstock_domain::{Admission, Breaker, Source, Timestamp};
use rstest::rstest;
use tokio::sync::Notify;

use crate::{COOLDOWN_MS, INTERVAL_MS, Marketplace, PROBE_MS, World, at, page, plan, row, unavailable};

async fn breaker(world: &World) -> Breaker {
    world.store.load_breaker(&plan().source).await.unwrap().1
}

/// Fails three times in a row, which opens the breaker.
async fn opened() -> World {
    let world = World::new();
    for _ in 0..3 {
        let report = world.poll_now(&ScriptedFeed::default().then(unavailable())).await;
        assert!(matches!(report.outcome, PollOutcome::Failed(_)));
    }
    world
}

#[tokio::test]
async fn schedule_asks_when_due_and_a_trigger_at_once() {
    let world = World::new();
    let feed = ScriptedFeed::default();
    let asked = async |trigger| {
        let report = world.poll(&feed, trigger).await.unwrap();
        (matches!(report.outcome, PollOutcome::Completed), feed.asked().len())
    };
    assert_eq!(asked(PollTrigger::Schedule).await, (true, 1));
    world.clock.advance_ms(INTERVAL_MS - 1);
    assert_eq!(asked(PollTrigger::Schedule).await, (false, 1));
    world.clock.advance_ms(1);
    assert_eq!(asked(PollTrigger::Schedule).await, (true, 2));
    assert_eq!(asked(PollTrigger::Manual).await, (true, 3));
    world.clock.advance_ms(INTERVAL_MS - 1);
    assert_eq!(asked(PollTrigger::Schedule).await, (false, 3), "a triggered poll counts for the schedule too");
}

#[tokio::test]
async fn run_that_failed_for_our_own_reasons_is_made_again_within_a_minute() {
    let world = World::new();
    let feed = Marketplace::new(vec![row("a", at(10), 1)]);
    world.queue.set_down(true);
    world.poll(&feed, PollTrigger::Schedule).await.unwrap_err();
    world.queue.set_down(false);
    world.clock.advance_ms(59_999);
    assert!(matches!(world.poll(&feed, PollTrigger::Schedule).await.unwrap().outcome, PollOutcome::NotDue));
    world.clock.advance_ms(1);
    assert_eq!(world.poll(&feed, PollTrigger::Schedule).await.unwrap().queued, 1);
}

#[tokio::test]
async fn failing_marketplace_waits_for_the_schedule() {
    let world = World::new();
    let feed = ScriptedFeed::default().then(unavailable());
    for (advance_ms, asked) in [(0, 1), (INTERVAL_MS - 1, 1), (1, 2)] {
        world.clock.advance_ms(advance_ms);
        world.poll(&feed, PollTrigger::Schedule).await.unwrap();
        assert_eq!(feed.asked().len(), asked);
    }
}

#[tokio::test]
async fn third_failure_in_a_row_opens_and_the_marketplace_is_left_alone() {
    let world = opened().await;
    let feed = ScriptedFeed::default();
    for trigger in [PollTrigger::Manual, PollTrigger::Schedule] {
        world.clock.advance_ms(INTERVAL_MS);
        let report = world.poll(&feed, trigger).await.unwrap();
        let open_until = breaker(&world).await.open_until;
        assert!(matches!(report.outcome, PollOutcome::BreakerOpen { until } if Some(until) == open_until));
    }
    assert_eq!(feed.asked(), []);
}

#[rstest]
#[case::malformed(FeedError::Malformed { reason: "items: is required".to_owned() })]
#[case::unauthorized(FeedError::Unauthorized)]
#[case::unavailable(FeedError::Unavailable { reason: "timeout".to_owned(), retry_after_seconds: None })]
#[tokio::test]
async fn failure_of_the_marketplace_is_counted_and_a_success_starts_the_row_again(#[case] error: FeedError) {
    let world = World::new();
    let report = world.poll_now(&ScriptedFeed::default().then(Err(error))).await;
    assert!(matches!(report.outcome, PollOutcome::Failed(_)));
    assert_eq!(breaker(&world).await.failures, 1);
    world.poll_now(&ScriptedFeed::default()).await;
    assert_eq!(breaker(&world).await, Breaker::default());
}

/// A marketplace that answers when it is told to.
#[derive(Default)]
struct Slow {
    asked: AtomicU32,
    answer: Notify,
}

impl StockFeed for Slow {
    async fn changed_since(&self, _since: Timestamp, _limit: u32) -> Result<FeedPage, FeedError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.answer.notified().await;
        page([row("a", at(10), 1)])
    }
}

#[tokio::test]
async fn one_of_two_probes_a_half_open_breaker_and_its_success_closes_it() {
    let world = opened().await;
    world.clock.advance_ms(COOLDOWN_MS);
    let feed = Slow::default();
    let (first, second) = tokio::join!(world.poll_as("first", &feed, PollTrigger::Manual), async {
        let second = world.poll_as("second", &feed, PollTrigger::Manual).await;
        feed.answer.notify_one();
        second
    });
    assert!(matches!(first.unwrap().outcome, PollOutcome::Completed));
    assert!(matches!(second.unwrap().outcome, PollOutcome::BreakerOpen { .. }));
    assert_eq!(feed.asked.load(Ordering::SeqCst), 1);
    assert_eq!(breaker(&world).await, Breaker::default());
}

#[tokio::test]
async fn failed_probe_opens_it_for_another_cooldown() {
    let world = opened().await;
    world.clock.advance_ms(COOLDOWN_MS);
    let report = world.poll_now(&ScriptedFeed::default().then(unavailable())).await;
    assert!(matches!(report.outcome, PollOutcome::Failed(_)));
    world.clock.advance_ms(COOLDOWN_MS - 1);
    let feed = ScriptedFeed::default();
    assert!(matches!(world.poll_now(&feed).await.outcome, PollOutcome::BreakerOpen { .. }));
    world.clock.advance_ms(1);
    assert!(matches!(world.poll_now(&feed).await.outcome, PollOutcome::Completed));
    assert_eq!(breaker(&world).await, Breaker::default());
}

/// The probe's answer cannot be queued: its holder `first` never reports.
async fn with_an_unfinished_probe() -> World {
    let world = opened().await;
    world.clock.advance_ms(COOLDOWN_MS);
    world.queue.set_down(true);
    let feed = ScriptedFeed::default().then(page([row("a", at(10), 1)]));
    world.poll_as("first", &feed, PollTrigger::Manual).await.unwrap_err();
    world.queue.set_down(false);
    world
}

#[rstest]
#[case::others_wait("second", PROBE_MS - 1, false)]
#[case::the_holder_goes_on("first", PROBE_MS - 1, true)]
#[case::lost_in_the_end("second", PROBE_MS, true)]
#[tokio::test]
async fn probe_that_was_never_reported_is_given_to_another_in_time(
    #[case] job: &str,
    #[case] wait_ms: i64,
    #[case] polls: bool,
) {
    let world = with_an_unfinished_probe().await;
    world.clock.advance_ms(wait_ms);
    let report = world.poll_as(job, &ScriptedFeed::default(), PollTrigger::Manual).await.unwrap();
    assert_eq!(matches!(report.outcome, PollOutcome::Completed), polls);
    assert_eq!(breaker(&world).await == Breaker::default(), polls);
}

#[tokio::test]
async fn rate_limit_makes_everybody_wait_and_is_no_failure() {
    let world = World::new();
    let limited = || Err(FeedError::RateLimited { retry_after_seconds: Some(600) });
    let feed = ScriptedFeed::default().then(limited()).then(limited()).then(limited());
    for asked in 1..=3 {
        let report = world.poll_now(&feed).await;
        assert!(matches!(report.outcome, PollOutcome::Failed(FeedError::RateLimited { .. })));
        world.clock.advance_ms(599_999);
        for trigger in [PollTrigger::Manual, PollTrigger::Schedule] {
            assert!(matches!(world.poll(&feed, trigger).await.unwrap().outcome, PollOutcome::NotDue));
        }
        assert_eq!(feed.asked().len(), asked);
        world.clock.advance_ms(1);
    }
    assert_eq!(breaker(&world).await, Breaker::default());
    assert!(matches!(world.poll_now(&feed).await.outcome, PollOutcome::Completed));
}

#[tokio::test]
async fn rate_limit_without_a_time_waits_for_the_schedule_only() {
    let world = World::new();
    let feed = ScriptedFeed::default().then(Err(FeedError::RateLimited { retry_after_seconds: None }));
    assert!(matches!(world.poll_now(&feed).await.outcome, PollOutcome::Failed(_)));
    assert!(matches!(world.poll_now(&feed).await.outcome, PollOutcome::Completed));
}

#[tokio::test]
async fn failing_marketplace_that_names_a_time_is_both_counted_and_waited_for() {
    let world = World::new();
    let error = FeedError::Unavailable { reason: "503".to_owned(), retry_after_seconds: Some(60) };
    let feed = ScriptedFeed::default().then(Err(error));
    assert!(matches!(world.poll_now(&feed).await.outcome, PollOutcome::Failed(_)));
    assert_eq!(breaker(&world).await.failures, 1);
    world.clock.advance_ms(59_999);
    assert!(matches!(world.poll_now(&feed).await.outcome, PollOutcome::NotDue));
    world.clock.advance_ms(1);
    assert!(matches!(world.poll_now(&feed).await.outcome, PollOutcome::Completed));
}

/// A store whose first write is done without saying so.
#[derive(Default)]
struct LostAnswer {
    inner: MemoryStore,
    lost: AtomicBool,
}

impl BreakerStore for LostAnswer {
    async fn load_breaker(&self, name: &Source) -> Result<(Option<u64>, Breaker), StoreError> {
        self.inner.load_breaker(name).await
    }

    async fn save_breaker(
        &self,
        circuit: &Circuit,
        expected: Option<u64>,
        breaker: &Breaker,
    ) -> Result<bool, StoreError> {
        let saved = self.inner.save_breaker(circuit, expected, breaker).await?;
        Ok(saved && self.lost.swap(true, Ordering::SeqCst))
    }
}

#[tokio::test]
async fn failure_whose_report_lost_its_answer_counts_once() {
    let (store, clock, plan) = (LostAnswer::default(), World::new().clock, plan());
    let circuit = Circuit::shared(plan.source.clone());
    for failures in 1..=2 {
        report_failure(&store, &clock, &circuit, &Admission::Closed, &plan.breaker).await.unwrap();
        assert_eq!(store.load_breaker(&plan.source).await.unwrap().1.failures, failures);
    }
}
