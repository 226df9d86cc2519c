//! The events that start a poll: ticks of the schedule and jobs from the queue.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking; that is how it reports"
)]

use evenstock_app::testing::{FixedClock, MemoryQueue, MemoryStore, ScriptedFeed};
use evenstock_app::{
    BreakerStore, Clock, FeedError, FeedPage, FeedRow, JobStore, PollPlan, QueueName, StockChange, SwitchStore,
    start_job,
};
use evenstock_domain::{
    BreakerConfig, Job, JobId, JobKind, JobStatus, LocationId, OrganizationId, Quantity, Sku, Source, Timestamp,
};
use evenstock_poller::{HandleError, Polls, handle};
use rstest::rstest;
use serde_json::{Value, json};

type TestPolls = Polls<MemoryStore, MemoryQueue, ScriptedFeed, FixedClock>;

fn schedule() -> Value {
    serde_json::from_str(include_str!("../../../events/poller-schedule.json")).unwrap()
}

fn job() -> Value {
    serde_json::from_str(include_str!("../../../events/poller-sqs.json")).unwrap()
}

/// The id of the message in [`job`].
const MESSAGE: &str = "059f36b4-87a3-44ab-83d2-661975830a7d";

fn polls(feed: ScriptedFeed) -> TestPolls {
    let plan = PollPlan {
        source: Source::parse("marketplace-b/default").unwrap(),
        organization: OrganizationId::parse("demo").unwrap(),
        interval_ms: 300_000,
        breaker: BreakerConfig { threshold: 3, cooldown_ms: 900_000, probe_ms: 120_000 },
    };
    Polls {
        store: MemoryStore::default(),
        queue: MemoryQueue::default(),
        clock: FixedClock::at(Timestamp::parse("2026-11-20T08:00:00Z").unwrap()),
        marketplace: Some((feed, plan)),
    }
}

fn one_row() -> Result<FeedPage, FeedError> {
    let row = FeedRow {
        sku: Sku::parse("SKU-1").unwrap(),
        location: LocationId::parse("main").unwrap(),
        quantity: Quantity::new(7).unwrap(),
        last_modified: Timestamp::parse("2026-11-01T00:00:00Z").unwrap(),
    };
    Ok(FeedPage { rows: vec![Ok(row)] })
}

fn malformed() -> Result<FeedPage, FeedError> {
    Err(FeedError::Malformed { reason: "items: is required".to_owned() })
}

fn asked(polls: &TestPolls) -> usize {
    polls.marketplace.as_ref().map_or(0, |(feed, _)| feed.asked().len())
}

fn queued(polls: &TestPolls) -> Vec<StockChange> {
    let bodies = polls.queue.bodies(QueueName::StockChanges);
    bodies.iter().map(|body| StockChange::from_json(body).unwrap()).collect()
}

/// Handles jobs; the ids of the messages that come back.
async fn failed(polls: &TestPolls, event: Value) -> Vec<String> {
    let answer = handle(polls, event).await.unwrap();
    let failures = answer["batchItemFailures"].as_array().unwrap();
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn tick_polls_when_due_and_a_job_polls_at_once() {
    let polls = polls(ScriptedFeed::default().then(one_row()));
    for (advance_ms, asked_so_far) in [(0, 1), (299_999, 1), (1, 2)] {
        polls.clock.advance_ms(advance_ms);
        assert_eq!(handle(&polls, schedule()).await.unwrap(), json!({}));
        assert_eq!(asked(&polls), asked_so_far);
    }
    assert_eq!(failed(&polls, job()).await, [""; 0]);
    assert_eq!(asked(&polls), 3);
    assert_eq!(queued(&polls).len(), 1);
}

#[tokio::test]
async fn what_a_job_finds_carries_the_jobs_name() {
    let polls = polls(ScriptedFeed::default().then(one_row()));
    assert_eq!(failed(&polls, job()).await, [""; 0]);
    let queued = queued(&polls);
    let jobs: Vec<_> = queued.iter().map(|change| change.job_id.as_str()).collect();
    assert_eq!(jobs, ["0193a0c0-0000-7000-8000-000000000001"]);
}

#[tokio::test]
async fn ticks_have_names_of_their_own() {
    let polls = polls(ScriptedFeed::default().then(one_row()).then(one_row()));
    for _ in 0..2 {
        handle(&polls, schedule()).await.unwrap();
        polls.clock.advance_ms(300_000);
    }
    let queued = queued(&polls);
    assert_ne!(queued.first().unwrap().job_id, queued.last().unwrap().job_id);
}

#[tokio::test]
async fn failing_marketplace_is_no_error_of_ours_until_the_breaker_leaves_it_alone() {
    let polls = polls((0..3).fold(ScriptedFeed::default(), |feed, _| feed.then(malformed())));
    handle(&polls, schedule()).await.unwrap();
    assert_eq!(failed(&polls, job()).await, [""; 0], "asking again at once would not help");
    assert_eq!(failed(&polls, job()).await, [""; 0]);
    let source = Source::parse("marketplace-b/default").unwrap();
    assert_eq!(polls.store.load_breaker(&source).await.unwrap().1.failures, 3);
    assert_eq!(failed(&polls, job()).await, [""; 0], "a job that meets an open breaker has failed for good");
    polls.clock.advance_ms(300_000);
    handle(&polls, schedule()).await.unwrap();
    assert_eq!(asked(&polls), 3);
}

#[tokio::test]
async fn wait_that_the_marketplace_asked_for_holds_for_jobs_too() {
    let limited = Err(FeedError::RateLimited { retry_after_seconds: Some(30) });
    let polls = polls(ScriptedFeed::default().then(limited));
    handle(&polls, schedule()).await.unwrap();
    assert_eq!(failed(&polls, job()).await, [""; 0]);
    assert_eq!(asked(&polls), 1);
    polls.clock.advance_ms(30_000);
    assert_eq!(failed(&polls, job()).await, [""; 0]);
    assert_eq!(asked(&polls), 2);
}

#[tokio::test]
async fn queue_that_is_down_fails_the_tick_and_sends_the_job_back() {
    let polls = polls(ScriptedFeed::default().then(one_row()).then(one_row()).then(one_row()));
    polls.queue.set_down(true);
    assert!(matches!(handle(&polls, schedule()).await, Err(HandleError::Poll(_))));
    assert_eq!(failed(&polls, job()).await, [MESSAGE]);
    polls.queue.set_down(false);
    assert_eq!(failed(&polls, job()).await, [""; 0]);
    assert_eq!(queued(&polls).len(), 1);
}

#[rstest]
#[case::not_json(json!("not json"))]
#[case::empty(json!(""))]
#[case::of_another_shape(json!("{\"jobId\":7}"))]
#[case::missing(Value::Null)]
#[tokio::test]
async fn unreadable_job_comes_back_and_the_others_are_done(#[case] body: Value) {
    let polls = polls(ScriptedFeed::default().then(one_row()));
    let mut event = job();
    let mut unreadable = event["Records"][0].clone();
    unreadable["messageId"] = json!("unreadable");
    unreadable["body"] = body;
    event["Records"].as_array_mut().unwrap().insert(0, unreadable);
    assert_eq!(failed(&polls, event).await, ["unreadable"]);
    assert_eq!((asked(&polls), queued(&polls).len()), (1, 1));
}

#[tokio::test]
async fn job_of_an_organization_without_a_marketplace_comes_back() {
    let polls = polls(ScriptedFeed::default().then(one_row()));
    let mut event = job();
    let body = event["Records"][0]["body"].as_str().unwrap().replace("demo", "other");
    event["Records"][0]["body"] = json!(body);
    assert_eq!(failed(&polls, event).await, [MESSAGE]);
    assert_eq!(asked(&polls), 0);
}

#[tokio::test]
async fn without_a_marketplace_ticks_do_nothing_and_jobs_come_back() {
    let polls = Polls { marketplace: None, ..polls(ScriptedFeed::default()) };
    assert_eq!(handle(&polls, schedule()).await.unwrap(), json!({}));
    assert_eq!(failed(&polls, job()).await, [MESSAGE]);
}

#[rstest]
#[case::nothing(json!({}))]
#[case::null(Value::Null)]
#[case::list(json!([]))]
#[case::another_source(json!({ "source": "aws.s3", "detail-type": "Object Created" }))]
#[case::records_that_are_none(json!({ "Records": 7 }))]
#[tokio::test]
async fn event_from_elsewhere_is_an_error(#[case] event: Value) {
    let polls = polls(ScriptedFeed::default());
    assert!(matches!(handle(&polls, event).await, Err(HandleError::UnknownEvent(_))));
    assert_eq!(asked(&polls), 0);
}

fn demo() -> OrganizationId {
    OrganizationId::parse("demo").unwrap()
}

fn job_id() -> JobId {
    JobId::parse("0193a0c0-0000-7000-8000-000000000001").unwrap()
}

/// The job of the message in [`job`], as it was asked for.
async fn asked_for(polls: &TestPolls) {
    let job = Job::queued(demo(), job_id(), JobKind::Poll, "marketplace-b/default", polls.clock.now());
    assert!(start_job(&polls.store, &polls.clock, &job).await.unwrap().new);
}

async fn stored_job(polls: &TestPolls) -> Job {
    polls.store.load_job(&demo(), &job_id()).await.unwrap().unwrap().job
}

#[tokio::test]
async fn job_is_told_how_its_poll_went_and_is_polled_for_once() {
    let polls = polls(ScriptedFeed::default().then(one_row()));
    asked_for(&polls).await;
    for _ in 0..2 {
        assert_eq!(failed(&polls, job()).await, [""; 0]);
    }
    assert_eq!(asked(&polls), 1, "the message came twice");
    let job = stored_job(&polls).await;
    assert_eq!((job.status, job.report.counters.processed, job.report.counters.applied), (JobStatus::Completed, 1, 1));
}

#[tokio::test]
async fn job_that_meets_an_open_breaker_has_failed_with_that_reason() {
    let polls = polls((0..3).fold(ScriptedFeed::default(), |feed, _| feed.then(malformed())));
    for _ in 0..3 {
        assert_eq!(failed(&polls, job()).await, [""; 0]);
    }
    asked_for(&polls).await;
    assert_eq!(failed(&polls, job()).await, [""; 0]);
    assert_eq!((asked(&polls), stored_job(&polls).await.failure()), (3, Some("breaker_open")));
}

#[tokio::test]
async fn job_whose_changes_cannot_be_queued_runs_on_until_its_message_is_done() {
    let polls = polls(ScriptedFeed::default().then(one_row()).then(one_row()));
    asked_for(&polls).await;
    polls.queue.set_down(true);
    assert_eq!(failed(&polls, job()).await, [MESSAGE]);
    assert_eq!(stored_job(&polls).await.status, JobStatus::Running);
    polls.queue.set_down(false);
    assert_eq!(failed(&polls, job()).await, [""; 0]);
    assert_eq!(stored_job(&polls).await.status, JobStatus::Completed);
}

#[tokio::test]
async fn switch_stops_ticks_and_not_jobs() {
    let polls = polls(ScriptedFeed::default());
    polls.store.set_switch(&demo(), false, None, polls.clock.now()).await.unwrap();
    handle(&polls, schedule()).await.unwrap();
    assert_eq!(asked(&polls), 0);
    assert_eq!(failed(&polls, job()).await, [""; 0]);
    assert_eq!(asked(&polls), 1);
}

#[tokio::test]
async fn start_polls_at_the_next_tick_and_then_by_its_own_interval() {
    let polls = polls(ScriptedFeed::default());
    handle(&polls, schedule()).await.unwrap();
    polls.clock.advance_ms(1000);
    polls.store.set_switch(&demo(), true, Some(15_000), polls.clock.now()).await.unwrap();
    polls.clock.advance_ms(1000);
    for (advance_ms, asked_so_far) in [(0, 2), (14_999, 2), (1, 3), (15_000, 4)] {
        polls.clock.advance_ms(advance_ms);
        handle(&polls, schedule()).await.unwrap();
        assert_eq!(asked(&polls), asked_so_far);
    }
    assert_eq!(polls.store.load_switch(&demo()).await.unwrap().last_run_at, Some(polls.clock.now()));
}

#[tokio::test]
async fn job_that_cannot_be_named_fails_the_batch_before_anything_is_asked() {
    let polls = polls(ScriptedFeed::default());
    let mut event = job();
    event["Records"][0].as_object_mut().unwrap().remove("messageId");
    assert!(matches!(handle(&polls, event).await, Err(HandleError::MissingMessageId(_))));
    assert_eq!(asked(&polls), 0);
}
