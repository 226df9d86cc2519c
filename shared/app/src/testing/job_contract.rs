//! The contract of the stores of jobs, switches and counters.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "these functions are test bodies"
)]

use evenstock_domain::{
    Drift, Job, JobCounters, JobId, JobKind, JobPart, JobReport, JobStatus, OrganizationId, Sku, Source,
};
use futures::future::join_all;

use super::contract::{at, registration};
use crate::testing::{FixedClock, MemoryQueue, MemorySealer};
use crate::{
    Clock, CounterStore, Counts, JobStore, JobWrite, MarketplaceStore, MarketplaceStores, PartitionRead,
    PartitionStore, PollStatus, PollStatusStore, PollStore, Queue, QueueName, RegisterStore, StoreWrite, StoredJob,
    SweepLimits, SwitchStore, SyncSwitch, TriggerDeps, advance_job, begin_job, enqueue_due_stores, finish_job,
    finish_part, register_store, start_job, trigger_all,
};

/// Runs the contract of jobs on the stores that `$make` makes.
#[macro_export]
macro_rules! job_contract {
    ($make:path) => {
        $crate::job_contract!(@each $make,
            job_reads_back_whole, job_is_written_under_its_rev, jobs_page_through_newest_first,
            one_of_many_jobs_of_a_place_runs, place_whose_starter_died_gives_its_job,
            abandoned_job_makes_room_and_tells_its_parent, checkpoint_and_counters_move_together,
            whole_ends_with_its_parts, trigger_queues_each_part_once_and_heals,
            stopped_organization_is_passed_by_until_it_asks_or_starts,
            switch_keeps_what_was_said_last, counters_add_up_by_function, poll_shows_how_far_it_came,
            partition_keeps_what_was_seen_last
        );
    };
    (@each $make:path, $($name:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let guard = $make().await;
                $crate::testing::job_contract::$name(&guard.store).await;
            }
        )+
    };
}

fn organization() -> OrganizationId {
    OrganizationId::parse("org #1").unwrap()
}

fn id(text: &str) -> JobId {
    JobId::parse(text).unwrap()
}

fn job(name: &str, kind: JobKind, subject: &str) -> Job {
    Job::queued(organization(), id(name), kind, subject, at(0))
}

fn applied(applied: u64) -> JobReport {
    JobReport { counters: JobCounters { processed: applied, applied, ..Default::default() }, ..Default::default() }
}

async fn stored<S: JobStore>(store: &S, name: &str) -> StoredJob {
    store.load_job(&organization(), &id(name)).await.unwrap().unwrap()
}

pub async fn job_reads_back_whole<S: JobStore>(store: &S) {
    let mut whole = job("sync-1", JobKind::Warehouse, "w#1 🦀");
    whole.parent = Some(id("sync-0"));
    whole.parts = vec![JobPart { id: id("sync-2"), kind: JobKind::Poll, subject: "b/default".to_owned() }];
    whole.failing = true;
    let report = JobReport {
        counters: JobCounters { processed: 9, applied: 4, stale: 3, conflicts: 2, failed: 1 },
        drift: vec![Drift { sku: Sku::parse("a#b").unwrap(), warehouse: 5, central: -2 }],
        drift_count: 101,
        errors: vec!["row 7: sku is missing".to_owned()],
    };
    let queued = whole.clone();
    assert!(whole.advance(&report, Some("cursor".to_owned()), at(5)));
    let mut ended = whole.clone();
    assert!(ended.finish(&JobReport::default(), None, at(9)));
    for (n, job) in [queued, whole, ended].into_iter().enumerate() {
        let job = Job { id: id(&format!("sync-{n}")), ..job };
        assert_eq!(store.save_job(None, &job).await.unwrap(), JobWrite::Saved);
        assert_eq!(store.load_job(&organization(), &job.id).await.unwrap(), Some(StoredJob { rev: 1, job }));
    }
    let theirs = OrganizationId::parse("them").unwrap();
    assert_eq!(store.load_job(&theirs, &id("sync-1")).await.unwrap(), None);
}

pub async fn job_is_written_under_its_rev<S: JobStore>(store: &S) {
    let first = job("sync-1", JobKind::Poll, "b");
    let begun = {
        let mut begun = first.clone();
        begun.begin(at(1));
        begun
    };
    assert_eq!(store.save_job(Some(1), &first).await.unwrap(), JobWrite::Conflict(None));
    assert_eq!(store.save_job(None, &first).await.unwrap(), JobWrite::Saved);
    let current = JobWrite::Conflict(Some(StoredJob { rev: 1, job: first }));
    assert_eq!(store.save_job(None, &begun).await.unwrap(), current);
    assert_eq!(store.save_job(Some(2), &begun).await.unwrap(), current);
    assert_eq!(store.save_job(Some(1), &begun).await.unwrap(), JobWrite::Saved);
    assert_eq!(stored(store, "sync-1").await, StoredJob { rev: 2, job: begun });
}

pub async fn jobs_page_through_newest_first<S: JobStore>(store: &S) {
    for n in 0..7 {
        store.save_job(None, &job(&format!("sync-{n}"), JobKind::Poll, "b")).await.unwrap();
    }
    let other = OrganizationId::parse("org").unwrap();
    store.save_job(None, &Job { organization: other, ..job("sync-9", JobKind::Poll, "b") }).await.unwrap();
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = store.list_jobs(&organization(), after.as_ref(), 3).await.unwrap();
        names.extend(page.jobs.iter().map(|job| job.id.to_string()));
        after = page.jobs.last().map(|job| job.id.clone());
        if !page.more || after.is_none() {
            break;
        }
    }
    assert_eq!(names, ["sync-6", "sync-5", "sync-4", "sync-3", "sync-2", "sync-1", "sync-0"]);
}

pub async fn one_of_many_jobs_of_a_place_runs<S: JobStore>(store: &S) {
    let clock = FixedClock::at(at(0));
    let asked: Vec<_> = (0..6).map(|n| job(&format!("sync-{n}"), JobKind::Warehouse, "w1")).collect();
    let started = join_all(asked.iter().map(|job| start_job(store, &clock, job))).await;
    let started: Vec<_> = started.into_iter().map(Result::unwrap).collect();
    assert_eq!(started.iter().filter(|started| started.new).count(), 1);
    let running = started[0].job.id.clone();
    assert!(started.iter().all(|started| started.job.id == running));
    assert_eq!(
        store.list_jobs(&organization(), None, 10).await.unwrap().jobs.len(),
        1,
        "nothing is left of the others"
    );
    let elsewhere = start_job(store, &clock, &job("sync-7", JobKind::Warehouse, "w2")).await.unwrap();
    assert!(elsewhere.new, "each place has its own");
    let again = asked.iter().find(|job| job.id == running).unwrap();
    assert!(start_job(store, &clock, again).await.unwrap().new, "whoever did not learn that it was his asks again");
    finish_job(store, &clock, &organization(), &running, &applied(1), None).await.unwrap();
    let next = start_job(store, &clock, &job("sync-8", JobKind::Warehouse, "w1")).await.unwrap();
    assert_eq!((next.job.id, next.new), (id("sync-8"), true));
}

pub async fn place_whose_starter_died_gives_its_job<S: JobStore>(store: &S) {
    let clock = FixedClock::at(at(0));
    let dead = job("sync-1", JobKind::Poll, "b");
    assert!(store.take_place(&dead, None).await.unwrap());
    let started = start_job(store, &clock, &job("sync-2", JobKind::Poll, "b")).await.unwrap();
    assert_eq!((&started.job, started.new), (&dead, false), "still queued, so its work is queued again");
    assert_eq!(stored(store, "sync-1").await.job, dead);
}

pub async fn abandoned_job_makes_room_and_tells_its_parent<S: JobStore>(store: &S) {
    let clock = FixedClock::at(at(0));
    let mut whole = job("sync-0", JobKind::Trigger, "");
    whole.parts = vec![JobPart { id: id("sync-1"), kind: JobKind::Poll, subject: "b".to_owned() }];
    start_job(store, &clock, &whole).await.unwrap();
    let part = Job { parent: Some(whole.id.clone()), ..job("sync-1", JobKind::Poll, "b") };
    start_job(store, &clock, &part).await.unwrap();
    let begun = begin_job(store, &clock, &organization(), &part.id).await.unwrap().unwrap();
    assert_eq!(stored(store, "sync-0").await.job.status, JobStatus::Running, "the whole runs with its part");
    clock.advance_ms(15 * 60 * 1000);
    let next = start_job(store, &clock, &job("sync-2", JobKind::Poll, "b")).await.unwrap();
    assert!(next.new);
    assert_eq!(stored(store, "sync-1").await.job.failure(), Some("abandoned"));
    assert_eq!(stored(store, "sync-0").await.job.status, JobStatus::Failed);
    let late = advance_job(store, &clock, begun, &applied(1), None).await.unwrap();
    assert_eq!(late, None, "its worker was not dead, and learns that it should stop");
}

pub async fn checkpoint_and_counters_move_together<S: JobStore>(store: &S) {
    let clock = FixedClock::at(at(0));
    start_job(store, &clock, &job("sync-1", JobKind::Warehouse, "w1")).await.unwrap();
    let begun = begin_job(store, &clock, &organization(), &id("sync-1")).await.unwrap().unwrap();
    let twin = begun.clone();
    let page = |n: u32| Some(format!("page {n}"));
    let first = advance_job(store, &clock, begun, &applied(10), page(1)).await.unwrap().unwrap();
    assert_eq!(
        advance_job(store, &clock, twin, &applied(10), page(1)).await.unwrap(),
        None,
        "of two workers one counts"
    );
    let second = advance_job(store, &clock, first, &applied(5), page(2)).await.unwrap().unwrap();
    let resumed = begin_job(store, &clock, &organization(), &id("sync-1")).await.unwrap().unwrap().job;
    assert_eq!((resumed.checkpoint, resumed.report.counters.applied), (page(2), 15));
    assert_eq!(second.job.report.counters.applied, 15);
    for _ in 0..2 {
        let ended =
            finish_job(store, &clock, &organization(), &id("sync-1"), &applied(1), None).await.unwrap().unwrap();
        assert_eq!(
            (ended.status, ended.report.counters.applied),
            (JobStatus::Completed, 16),
            "told twice, counted once"
        );
    }
    assert_eq!(begin_job(store, &clock, &organization(), &id("sync-9")).await.unwrap(), None);
}

pub async fn whole_ends_with_its_parts<S: JobStore>(store: &S) {
    let clock = FixedClock::at(at(0));
    let mut whole = job("sync-0", JobKind::Trigger, "");
    let names: Vec<_> = (1..=6).map(|n| format!("sync-{n}")).collect();
    let part = |name: &String| JobPart { id: id(name), kind: JobKind::Warehouse, subject: name.clone() };
    whole.parts = names.iter().map(part).collect();
    start_job(store, &clock, &whole).await.unwrap();
    for name in &names[1..] {
        let part = Job { parent: Some(whole.id.clone()), ..job(name, JobKind::Warehouse, name) };
        start_job(store, &clock, &part).await.unwrap();
    }
    let organization = organization();
    let ends = names[1..].iter().flat_map(|name| [name, name]).map(|name| {
        let (store, clock, organization, id) = (store, &clock, &organization, id(name));
        async move { finish_job(store, clock, organization, &id, &applied(2), None).await }
    });
    for end in join_all(ends).await {
        assert_eq!(end.unwrap().unwrap().status, JobStatus::Completed);
    }
    let running = stored(store, "sync-0").await.job;
    assert_eq!((running.status, running.report.counters.applied), (JobStatus::Running, 10));
    // The first was done by another job already.
    finish_part(store, &clock, &organization, &whole.id, &id("sync-1"), &JobReport::default(), None).await.unwrap();
    let ended = stored(store, "sync-0").await.job;
    assert_eq!((ended.status, ended.finished_at), (JobStatus::Completed, Some(clock.now())));
}

pub async fn trigger_queues_each_part_once_and_heals<S>(store: &S)
where
    S: JobStore + MarketplaceStores + SwitchStore,
{
    let (clock, queue) = (FixedClock::at(at(0)), MemoryQueue::default());
    let deps = TriggerDeps { store, queue: &queue, clock: &clock };
    let parts = |names: [&str; 2]| {
        let part =
            |(name, subject): (&str, &str)| JobPart { id: id(name), kind: JobKind::Poll, subject: subject.into() };
        names.into_iter().zip(["b/1", "b/2"]).map(part).collect()
    };
    queue.set_down(true);
    trigger_all(deps, &organization(), id("sync-0"), parts(["sync-1", "sync-2"])).await.unwrap_err();
    queue.set_down(false);
    // Somebody else asks, is given the job that was broken off, and sets going what it left.
    let second = trigger_all(deps, &organization(), id("sync-5"), parts(["sync-6", "sync-7"])).await.unwrap();
    assert_eq!((second.job.id, second.new), (id("sync-0"), false));
    assert_eq!(queue.depth(QueueName::PollJobs).await.unwrap().waiting, 2);
    begin_job(store, &clock, &organization(), &id("sync-1")).await.unwrap();
    trigger_all(deps, &organization(), id("sync-8"), parts(["sync-6", "sync-7"])).await.unwrap();
    assert_eq!(
        queue.depth(QueueName::PollJobs).await.unwrap().waiting,
        3,
        "only what nobody has begun is queued again"
    );
    finish_job(store, &clock, &organization(), &id("sync-1"), &applied(1), None).await.unwrap();
    finish_job(store, &clock, &organization(), &id("sync-2"), &applied(2), None).await.unwrap();
    let ended = stored(store, "sync-0").await.job;
    assert_eq!((ended.status, ended.report.counters.applied), (JobStatus::Completed, 3));
    let none = trigger_all(deps, &organization(), id("sync-9"), Vec::new()).await.unwrap();
    assert!(none.new);
    assert_eq!(stored(store, "sync-9").await.job.status, JobStatus::Completed, "nothing to do is done at once");
}

/// Registers a store that is due at once.
async fn due_store<S: MarketplaceStores>(store: &S, clock: &FixedClock, organization: &OrganizationId, name: &str) {
    let asked = RegisterStore { organization: organization.clone(), ..registration(name) };
    let id = register_store(store, &MemorySealer::default(), clock, &asked).await.unwrap().store;
    let found = store.load_store(&id).await.unwrap().unwrap();
    let sync = found.store.sync.watched_by(clock.now()).unwrap();
    let due = MarketplaceStore { sync, ..found.store };
    assert_eq!(store.save_store(Some(found.rev), &due).await.unwrap(), StoreWrite::Saved);
}

pub async fn stopped_organization_is_passed_by_until_it_asks_or_starts<S>(store: &S)
where
    S: JobStore + MarketplaceStores + SwitchStore,
{
    let (clock, queue) = (FixedClock::at(at(0)), MemoryQueue::default());
    let (stopped, other) = (organization(), OrganizationId::parse("org #2").unwrap());
    due_store(store, &clock, &stopped, "id-1").await;
    due_store(store, &clock, &other, "id-2").await;
    store.set_switch(&stopped, false, None, at(0)).await.unwrap();
    let limits = SweepLimits { page: 1, until: at(10_000_000) };
    let tick = async || {
        let report = enqueue_due_stores(store, &queue, &clock, limits).await.unwrap();
        assert!(report.finished);
        (report.scanned_stores, report.enqueued_jobs, report.failed)
    };
    let sent = || queue.bodies(QueueName::StoreSync);
    assert_eq!(tick().await, (1, 1, 0), "the other's only");
    assert_eq!(sent(), ["{\"storeId\":\"id-2\"}"]);
    // Whoever asks gets his own, and nobody else's; the job says how many.
    let deps = TriggerDeps { store, queue: &queue, clock: &clock };
    let part = |name: &str| vec![JobPart { id: id(name), kind: JobKind::Stores, subject: String::new() }];
    for (name, counted) in [("sync-1", (1, 1)), ("sync-2", (1, 0))] {
        trigger_all(deps, &stopped, id(name), part(&format!("{name}0"))).await.unwrap();
        let job = stored(store, name).await.job;
        assert_eq!((job.status, job.kind), (JobStatus::Completed, JobKind::Trigger));
        let counters = job.report.counters;
        assert_eq!((counters.processed, counters.applied), counted, "what is on its way is not sent again");
    }
    assert_eq!(sent().last().unwrap(), "{\"storeId\":\"id-1\"}");
    // Long after, when both messages count as lost.
    clock.advance_ms(300_000);
    assert_eq!(tick().await, (1, 1, 0));
    store.set_switch(&stopped, true, None, clock.now()).await.unwrap();
    assert_eq!(tick().await, (2, 1, 0), "it stayed due");
    assert_eq!(sent().last().unwrap(), "{\"storeId\":\"id-1\"}");
}

pub async fn switch_keeps_what_was_said_last<S: SwitchStore>(store: &S) {
    let organization = organization();
    assert_eq!(store.load_switch(&organization).await.unwrap(), SyncSwitch::default());
    store.mark_run(&organization, at(5)).await.unwrap();
    store.mark_run(&organization, at(4)).await.unwrap();
    let on = store.set_switch(&organization, true, Some(15_000), at(10)).await.unwrap();
    let expected =
        SyncSwitch { on: true, interval_ms: Some(15_000), changed_at: Some(at(10)), last_run_at: Some(at(5)) };
    assert_eq!(on, expected);
    let off = store.set_switch(&organization, false, None, at(20)).await.unwrap();
    assert_eq!(off, SyncSwitch { on: false, changed_at: Some(at(20)), ..on });
    assert_eq!(store.set_switch(&organization, true, Some(1000), at(19)).await.unwrap(), off, "it was said before");
    store.mark_run(&organization, at(30)).await.unwrap();
    let now = store.load_switch(&organization).await.unwrap();
    assert_eq!(now, SyncSwitch { last_run_at: Some(at(30)), ..off });
}

pub async fn counters_add_up_by_function<S: CounterStore>(store: &S) {
    let counts = |counts: &[(&str, u64)]| counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Counts>();
    let first = counts(&[("requests", 3), ("route GET /inventory/{id}", 1)]);
    for token in ["a", "a", "b"] {
        store.add_counts("inventory-api", token, &first).await.unwrap();
    }
    store.add_counts("webhook", "a", &counts(&[("requests", 1)])).await.unwrap();
    let all = store.all_counts().await.unwrap();
    let expected = counts(&[("requests", 6), ("route GET /inventory/{id}", 2)]);
    assert_eq!((all.len(), all.get("inventory-api")), (2, Some(&expected)));
    store.reset_counts().await.unwrap();
    assert_eq!(store.all_counts().await.unwrap().values().flat_map(Counts::values).sum::<u64>(), 0);
    store.add_counts("webhook", "a", &counts(&[("requests", 2)])).await.unwrap();
    assert_eq!(store.all_counts().await.unwrap().get("webhook"), Some(&counts(&[("requests", 2)])));
}

pub async fn poll_shows_how_far_it_came<S: PollStore + PollStatusStore>(store: &S) {
    let source = Source::parse("marketplace-b/default").unwrap();
    assert_eq!(store.poll_status(&source).await.unwrap(), PollStatus::default());
    store.begin_run(&source, "job", at(0), at(100), false).await.unwrap();
    store.advance(&source, at(50)).await.unwrap();
    store.defer(&source, at(70)).await.unwrap();
    let status = PollStatus { runs: 1, cursor: Some(at(50)), due: Some(at(100)), not_before: Some(at(70)) };
    assert_eq!(store.poll_status(&source).await.unwrap(), status);
}

pub async fn partition_keeps_what_was_seen_last<S: PartitionStore>(store: &S) {
    assert_eq!(store.partitions().await.unwrap(), []);
    let read = |topic: &str, partition, offset, seen_ms| PartitionRead {
        topic: topic.to_owned(),
        partition,
        offset,
        settled: true,
        written_at: Some(at(5)),
        seen_at: at(seen_ms),
    };
    let rewound = PartitionRead { settled: false, written_at: None, ..read("warehouse.#1", 2, 4, 30) };
    for note in [read("warehouse.#1", 2, 9, 20), rewound.clone(), read("warehouse.#1", 2, 8, 10)] {
        store.note_partition(&note).await.unwrap();
    }
    store.note_partition(&rewound).await.unwrap();
    let (other, tenth) = (read("another", 0, 1, 1), read("warehouse.#1", 10, 0, 1));
    store.note_partition(&tenth).await.unwrap();
    store.note_partition(&other).await.unwrap();
    assert_eq!(store.partitions().await.unwrap(), [other, rewound, tenth]);
}
