//! The promises of the queues, on real files.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use evenstock_domain::OrganizationId;
use tempfile::TempDir;

use super::*;

const MAIN: &str = "StockChangesQueue";
const OTHER: &str = "PollJobsQueue";
const DEAD: &str = "StockChangesDlq";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const START_MS: i64 = 1_700_000_000_000;

fn settings() -> Vec<QueueSettings> {
    let queue = |name: &str, redrive| QueueSettings {
        name: name.to_owned(),
        visibility_ms: 30_000,
        retention_ms: 4 * DAY_MS,
        redrive,
    };
    let redrive = Redrive { dead_letter: DEAD.to_owned(), receives_max: 2 };
    let mut dead = queue(DEAD, None);
    dead.retention_ms = 14 * DAY_MS;
    vec![queue(MAIN, Some(redrive)), queue(OTHER, None), dead]
}

struct Bench {
    _directory: TempDir,
    path: PathBuf,
    clock: Arc<AtomicI64>,
    queues: LocalQueues,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queues.sqlite");
        let clock = Arc::new(AtomicI64::new(START_MS));
        let queues = open(&path, &clock);
        Self { _directory: directory, path, clock, queues }
    }

    fn reopened(self) -> Self {
        drop(self.queues);
        let queues = open(&self.path, &self.clock);
        Self { queues, ..self }
    }

    fn advance_ms(&self, millis: i64) {
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    async fn receive_one(&self) -> Received {
        let mut received = self.queues.receive(MAIN, 10).await.unwrap();
        assert_eq!(received.len(), 1, "{received:?}");
        received.remove(0)
    }

    async fn depth(&self) -> (u64, u64, u64) {
        let depth = self.queues.depth(MAIN).await.unwrap();
        (depth.waiting, depth.in_flight, depth.dead)
    }
}

fn open(path: &Path, clock: &Arc<AtomicI64>) -> LocalQueues {
    let clock = Arc::clone(clock);
    LocalQueues::open(Some(path), settings(), move || clock.load(Ordering::SeqCst)).unwrap()
}

fn message(body: &str) -> Outgoing {
    Outgoing::now(body.to_owned(), OrganizationId::parse("org").unwrap())
}

fn bodies(received: &[Received]) -> Vec<&str> {
    received.iter().map(|message| message.body.as_str()).collect()
}

fn receipts(received: &[Received]) -> Vec<String> {
    received.iter().map(|message| message.receipt_handle.clone()).collect()
}

#[tokio::test]
async fn received_message_is_hidden_and_comes_again_after_its_visibility() {
    let bench = Bench::new();
    bench.queues.send(MAIN, vec![message("a")]).await.unwrap();
    let first = bench.receive_one().await;
    assert_eq!((first.receive_count, first.sent_at_ms, first.organization.as_str()), (1, START_MS, "org"));
    bench.advance_ms(29_999);
    assert_eq!(bench.queues.receive(MAIN, 10).await.unwrap(), []);
    assert_eq!(bench.queues.next_visible_in_ms(MAIN).await.unwrap(), Some(1));
    bench.advance_ms(1);
    let second = bench.receive_one().await;
    assert_eq!((second.message_id, second.receive_count), (first.message_id, 2));
    assert_eq!((second.first_received_at_ms, second.sent_at_ms), (START_MS, START_MS));
    assert_ne!(second.receipt_handle, first.receipt_handle);
}

#[tokio::test]
async fn messages_come_oldest_first_and_at_most_as_many_as_asked_for() {
    let bench = Bench::new();
    for body in ["a", "b", "c"] {
        bench.queues.send(MAIN, vec![message(body)]).await.unwrap();
    }
    assert_eq!(bodies(&bench.queues.receive(MAIN, 2).await.unwrap()), ["a", "b"]);
    assert_eq!(bodies(&bench.queues.receive(MAIN, 2).await.unwrap()), ["c"]);
    assert_eq!(bench.queues.receive(MAIN, 0).await.unwrap(), []);
}

#[tokio::test]
async fn message_without_visibility_time_comes_once_a_receive() {
    let mut queues = settings();
    queues[1].visibility_ms = 0;
    let queues = LocalQueues::open(None, queues, || START_MS).unwrap();
    queues.send(OTHER, vec![message("a")]).await.unwrap();
    assert_eq!(bodies(&queues.receive(OTHER, 10).await.unwrap()), ["a"]);
}

#[tokio::test]
async fn message_received_too_often_goes_to_the_dead_letter_queue() {
    let bench = Bench::new();
    bench.queues.send(MAIN, vec![message("bad"), message("good")]).await.unwrap();
    for _ in 0..2 {
        let received = bench.queues.receive(MAIN, 1).await.unwrap();
        assert_eq!(bodies(&received), ["bad"]);
        bench.queues.release(MAIN, receipts(&received), -1).await.unwrap();
    }
    let received = bench.queues.receive(MAIN, 1).await.unwrap();
    assert_eq!(bodies(&received), ["good"], "the dead letter does not take the place of a message in the batch");
    assert_eq!(bench.depth().await, (0, 1, 1));
    let dead = bench.queues.receive(DEAD, 10).await.unwrap();
    assert_eq!((bodies(&dead), dead[0].receive_count, dead[0].sent_at_ms), (vec!["bad"], 1, START_MS));
}

#[tokio::test]
async fn only_the_latest_receipt_counts() {
    let bench = Bench::new();
    bench.queues.send(MAIN, vec![message("a")]).await.unwrap();
    let first = bench.receive_one().await;
    bench.advance_ms(30_000);
    let second = bench.receive_one().await;
    let stale = vec![first.receipt_handle, "1-".to_owned(), "nonsense".to_owned(), String::new()];
    assert_eq!(bench.queues.delete(MAIN, stale.clone()).await.unwrap(), 0);
    assert_eq!(bench.queues.release(MAIN, stale, 0).await.unwrap(), 0);
    assert_eq!(bench.queues.delete(OTHER, vec![second.receipt_handle.clone()]).await.unwrap(), 0, "of another queue");
    assert_eq!(bench.depth().await, (0, 1, 0));
    assert_eq!(bench.queues.delete(MAIN, vec![second.receipt_handle.clone()]).await.unwrap(), 1);
    assert_eq!(bench.queues.delete(MAIN, vec![second.receipt_handle]).await.unwrap(), 0);
    assert_eq!(bench.depth().await, (0, 0, 0));
}

#[tokio::test]
async fn released_message_comes_after_the_delay() {
    let bench = Bench::new();
    bench.queues.send(MAIN, vec![message("a")]).await.unwrap();
    let received = bench.receive_one().await;
    assert_eq!(bench.queues.release(MAIN, vec![received.receipt_handle], 500).await.unwrap(), 1);
    assert_eq!(bench.queues.next_visible_in_ms(MAIN).await.unwrap(), Some(500));
    assert_eq!(bench.depth().await, (0, 1, 0));
    bench.advance_ms(500);
    assert_eq!(bench.queues.next_visible_in_ms(MAIN).await.unwrap(), Some(0));
    assert_eq!(bench.receive_one().await.receive_count, 2);
    assert_eq!(bench.queues.next_visible_in_ms(OTHER).await.unwrap(), None);
}

#[tokio::test]
async fn delayed_message_waits_also_when_the_process_begins_anew() {
    let bench = Bench::new();
    bench.queues.send(MAIN, vec![Outgoing { delay_seconds: 5, ..message("a") }]).await.unwrap();
    let bench = bench.reopened();
    assert_eq!(bench.depth().await, (1, 0, 0));
    bench.queues.release_abandoned().await.unwrap();
    bench.advance_ms(4_999);
    assert_eq!(bench.queues.receive(MAIN, 10).await.unwrap(), []);
    bench.advance_ms(1);
    assert_eq!(bench.receive_one().await.sent_at_ms, START_MS);
}

#[tokio::test]
async fn reopening_keeps_what_was_sent_and_received_and_forgets_what_was_deleted() {
    let bench = Bench::new();
    bench.queues.send(MAIN, vec![message("done"), message("running"), message("waiting")]).await.unwrap();
    let received = bench.queues.receive(MAIN, 2).await.unwrap();
    bench.queues.delete(MAIN, vec![received[0].receipt_handle.clone()]).await.unwrap();
    let bench = bench.reopened();
    assert_eq!(bench.depth().await, (1, 1, 0));
    assert_eq!(bodies(&bench.queues.receive(MAIN, 10).await.unwrap()), ["waiting"]);
    bench.advance_ms(30_000);
    let again = bench.queues.receive(MAIN, 10).await.unwrap();
    assert_eq!((bodies(&again), again[0].receive_count), (vec!["running", "waiting"], 2));
    assert_eq!(bench.queues.delete(MAIN, vec![received[1].receipt_handle.clone()]).await.unwrap(), 0, "stale");
}

#[tokio::test]
async fn abandoned_messages_are_released_at_once_and_keep_their_counts() {
    let bench = Bench::new();
    bench.queues.send(MAIN, vec![message("a")]).await.unwrap();
    bench.receive_one().await;
    let bench = bench.reopened();
    assert_eq!(bench.queues.release_abandoned().await.unwrap(), 1);
    assert_eq!(bench.receive_one().await.receive_count, 2);
}

#[tokio::test]
async fn queues_are_kept_apart() {
    let bench = Bench::new();
    bench.queues.send(MAIN, vec![message("a")]).await.unwrap();
    Queue::send(&bench.queues, QueueName::PollJobs, vec![message("b")]).await.unwrap();
    assert_eq!(bodies(&bench.queues.receive(OTHER, 10).await.unwrap()), ["b"]);
    let depth = Queue::depth(&bench.queues, QueueName::StockChanges).await.unwrap();
    assert_eq!(depth, QueueDepth { waiting: 1, in_flight: 0, dead: 0 });
    let unknown = bench.queues.send("Nowhere", vec![message("c")]).await;
    assert!(matches!(unknown, Err(LocalQueueError::UnknownQueue(name)) if name == "Nowhere"));
}

#[tokio::test]
async fn message_is_dropped_when_its_retention_has_passed_since_it_was_sent() {
    let bench = Bench::new();
    bench.queues.send(MAIN, vec![message("old"), message("dead")]).await.unwrap();
    for _ in 0..2 {
        let received = bench.queues.receive(MAIN, 10).await.unwrap();
        let dead = received.iter().filter(|message| message.body == "dead").map(|message| &message.receipt_handle);
        bench.queues.release(MAIN, dead.cloned().collect(), -1).await.unwrap();
    }
    bench.queues.receive(MAIN, 10).await.unwrap();
    bench.advance_ms(4 * DAY_MS - 1);
    assert_eq!(bench.depth().await, (1, 0, 1));
    bench.advance_ms(1);
    assert_eq!(bench.depth().await, (0, 0, 1), "dead letters are kept longer");
    assert_eq!(bench.queues.next_visible_in_ms(MAIN).await.unwrap(), None);
    bench.advance_ms(10 * DAY_MS);
    assert_eq!(bench.queues.receive(DEAD, 10).await.unwrap(), []);
}

#[tokio::test]
async fn arrivals_tell_of_sent_and_released_messages() {
    let bench = Bench::new();
    let mut arrivals = bench.queues.arrivals(MAIN).unwrap();
    bench.queues.send(OTHER, vec![message("elsewhere")]).await.unwrap();
    assert!(!arrivals.has_changed().unwrap());
    bench.queues.send(MAIN, vec![message("a")]).await.unwrap();
    assert!(arrivals.has_changed().unwrap());
    arrivals.mark_unchanged();
    let received = bench.receive_one().await;
    assert!(!arrivals.has_changed().unwrap());
    bench.queues.release(MAIN, vec![received.receipt_handle], 10).await.unwrap();
    assert!(arrivals.has_changed().unwrap());
}

#[tokio::test]
async fn queues_in_memory_need_no_file() {
    let queues = LocalQueues::open(None, settings(), || START_MS).unwrap();
    queues.send(MAIN, vec![message("a")]).await.unwrap();
    assert_eq!(bodies(&queues.receive(MAIN, 10).await.unwrap()), ["a"]);
}

#[test]
fn file_of_another_layout_and_missing_dead_letter_queue_are_refused() {
    let bench = Bench::new();
    drop(bench.queues);
    let connection = Connection::open(&bench.path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let other_layout = LocalQueues::open(Some(&bench.path), settings(), || START_MS);
    assert!(matches!(other_layout, Err(LocalQueueError::Layout(99))));
    let without_dead = settings().into_iter().filter(|queue| queue.name != DEAD).collect();
    let missing = LocalQueues::open(None, without_dead, || START_MS);
    assert!(matches!(missing, Err(LocalQueueError::UnknownQueue(name)) if name == DEAD));
}

async fn send_from_many(queues: &LocalQueues, senders: usize, each: usize) {
    let tasks: Vec<_> = (0..senders)
        .map(|sender| {
            let queues = queues.clone();
            tokio::spawn(async move {
                for number in 0..each {
                    queues.send(MAIN, vec![message(&format!("{sender}/{number}"))]).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_senders_and_four_receivers_lose_nothing_and_share_nothing() {
    let bench = Bench::new();
    let all = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..4 {
        let (queues, all) = (bench.queues.clone(), Arc::clone(&all));
        let mut arrivals = queues.arrivals(MAIN).unwrap();
        tokio::spawn(async move {
            loop {
                arrivals.mark_unchanged();
                let received = queues.receive(MAIN, 100).await.unwrap();
                if received.is_empty() {
                    arrivals.changed().await.unwrap();
                    continue;
                }
                let receipts = receipts(&received);
                all.lock().unwrap().extend(received);
                queues.delete(MAIN, receipts).await.unwrap();
            }
        });
    }
    send_from_many(&bench.queues, 32, 200).await;
    while bench.depth().await != (0, 0, 0) {
        tokio::task::yield_now().await;
    }
    let all = all.lock().unwrap();
    let bodies: HashSet<_> = all.iter().map(|message| &message.body).collect();
    let ids: HashSet<_> = all.iter().map(|message| &message.message_id).collect();
    assert_eq!((all.len(), bodies.len(), ids.len()), (6_400, 6_400, 6_400));
}

/// Tells the child which file to work on.
const CRASH_FILE: &str = "EVENSTOCK_TEST_CRASH_FILE";

/// What the test below does as its own child: sends and deletes for ever, and says what was acknowledged.
async fn work_until_killed(path: &Path) {
    let queues = open(path, &Arc::new(AtomicI64::new(START_MS)));
    for number in 0.. {
        queues.send(MAIN, vec![message(&format!("kept {number}")), message("deleted")]).await.unwrap();
        println!("\nsent {number}");
        let received = queues.receive(MAIN, 2).await.unwrap();
        let deleted = received.iter().filter(|message| message.body == "deleted").cloned().collect::<Vec<_>>();
        assert_eq!(queues.delete(MAIN, receipts(&deleted)).await.unwrap(), 1);
        println!("\ndeleted {number}");
    }
}

#[tokio::test]
async fn killed_process_loses_nothing_acknowledged_and_nothing_deleted_comes_back() {
    if let Some(path) = std::env::var_os(CRASH_FILE) {
        return work_until_killed(Path::new(&path)).await;
    }
    let bench = Bench::new();
    let own_name = "queue::tests::killed_process_loses_nothing_acknowledged_and_nothing_deleted_comes_back";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", own_name, "--nocapture"])
        .env(CRASH_FILE, &bench.path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut sent = 0;
    let mut deleted = 0;
    let mut note = |line: String| match line.split_once(' ') {
        Some(("sent", number)) => sent = number.parse::<u64>().unwrap() + 1,
        Some(("deleted", number)) => deleted = number.parse::<u64>().unwrap() + 1,
        _ => {}
    };
    lines.by_ref().take(300).for_each(&mut note);
    child.kill().unwrap();
    // What it could still say before it died.
    lines.for_each(note);
    child.wait().unwrap();
    assert!(deleted > 10, "{deleted} rounds");

    bench.queues.release_abandoned().await.unwrap();
    let left = bench.queues.receive(MAIN, 100_000).await.unwrap();
    let kept: HashSet<_> = left.iter().filter_map(|message| message.body.strip_prefix("kept ")).collect();
    assert!((0..sent).all(|number| kept.contains(number.to_string().as_str())), "{sent} sent, {} kept", kept.len());
    let back = left.iter().filter(|message| message.body == "deleted").count();
    assert!(back <= 1, "{back} deleted messages came back; only the last may not have been deleted");
}

#[tokio::test]
async fn dead_letter_says_why_it_died_and_can_be_given_back() {
    let bench = Bench::new();
    let queues = &bench.queues;
    let organization = OrganizationId::parse("org").unwrap();
    for body in ["bad", "worse"] {
        queues.send(MAIN, vec![Outgoing::now(body.to_owned(), organization.clone())]).await.unwrap();
    }
    for attempt in 1..=2 {
        for message in queues.receive(MAIN, 10).await.unwrap() {
            if message.body == "bad" {
                let receipt = message.receipt_handle.clone();
                queues.note_failure(MAIN, receipt, format!("reason {attempt}")).await.unwrap();
            }
            queues.release(MAIN, vec![message.receipt_handle], 0).await.unwrap();
        }
        bench.clock.fetch_add(1000, Ordering::SeqCst);
    }
    assert_eq!(queues.receive(MAIN, 10).await.unwrap(), []);
    let dead = queues.dead_letters(MAIN, 10).await.unwrap();
    let failure =
        Failure { attempts: 2, first_at_ms: START_MS, last_at_ms: START_MS + 1000, reason: "reason 2".to_owned() };
    assert_eq!(dead.iter().map(|letter| letter.body.as_str()).collect::<Vec<_>>(), ["bad", "worse"]);
    assert_eq!((dead[0].failure.as_ref(), dead[1].failure.as_ref()), (Some(&failure), None));
    assert_eq!(queues.dead_letter(MAIN, &dead[1].message_id).await.unwrap().as_ref(), Some(&dead[1]));
    assert_eq!(queues.redrive(MAIN, Some(dead[0].message_id.clone())).await.unwrap(), 1);
    let again = queues.receive(MAIN, 10).await.unwrap();
    assert_eq!(
        again.iter().map(|message| (message.body.as_str(), message.receive_count)).collect::<Vec<_>>(),
        [("bad", 1)]
    );
    queues.delete(MAIN, vec![again[0].receipt_handle.clone()]).await.unwrap();
    assert_eq!(queues.redrive(MAIN, None).await.unwrap(), 1);
    assert_eq!(queues.dead_letters(MAIN, 10).await.unwrap(), []);
    assert!(matches!(queues.redrive(DEAD, None).await, Err(LocalQueueError::UnknownQueue(_))));
}

#[tokio::test]
async fn trace_of_a_message_is_kept_beside_it_also_in_a_file_from_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queues.sqlite");
    let before = Connection::open(&path).unwrap();
    super::messages::prepare(&before).unwrap();
    before
        .execute_batch("ALTER TABLE message DROP COLUMN traceparent; ALTER TABLE message DROP COLUMN tracestate;")
        .unwrap();
    drop(before);
    let connection = Connection::open(&path).unwrap();
    super::messages::prepare(&connection).unwrap();
    super::messages::prepare(&connection).unwrap();
    let trace = message("a").trace;
    assert_eq!(trace, None);
    let traced = evenstock_telemetry::within(
        evenstock_telemetry::TraceContext::parse(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            Some("v=1"),
        ),
        async { message("b") },
    )
    .await;
    super::messages::insert(&connection, MAIN, &[message("a"), traced], START_MS).unwrap();
    let kept: Vec<(Option<String>, Option<String>)> = connection
        .prepare("SELECT traceparent, tracestate FROM message ORDER BY seq")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned();
    assert_eq!(kept, [(None, None), (Some(header), Some("v=1".to_owned()))]);
}

#[tokio::test]
async fn only_what_was_promised_waits_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::start(Connection::open(folder.path().join("queues")).unwrap(), Box::new(|| 0)).unwrap();
    let mode = |connection: &Connection, _| connection.pragma_query_value(None, "synchronous", |row| row.get(0));
    for (outlives, full_or_normal) in [(Outlives::PowerCut, 2), (Outlives::Crash, 1), (Outlives::PowerCut, 2)] {
        let found: i64 = writer.call(outlives, mode, || ()).await.unwrap();
        assert_eq!(found, full_or_normal, "{outlives:?}");
    }
}
