//! Triggers of jobs whose starter, or whose worker, died half-way.

use evenstock_app::testing::{FixedClock, MemoryQueue, MemoryStore};
use evenstock_app::{JobStore, JobWrite, QueueName, TriggerDeps, start_job, trigger_all, trigger_one};
use evenstock_domain::{Job, JobId, JobKind, JobPart, JobReport, JobStatus};

use crate::{organization, start};

struct Desk {
    store: MemoryStore,
    clock: FixedClock,
    queue: MemoryQueue,
}

impl Desk {
    fn new() -> Self {
        Self { store: MemoryStore::default(), clock: FixedClock::at(start()), queue: MemoryQueue::default() }
    }

    const fn deps(&self) -> TriggerDeps<'_, MemoryStore, MemoryQueue, FixedClock> {
        TriggerDeps { store: &self.store, queue: &self.queue, clock: &self.clock }
    }

    async fn trigger_all(&self, parts: Vec<JobPart>) -> JobId {
        trigger_all(self.deps(), &organization(), id("whole"), parts).await.unwrap().job.id
    }

    async fn job(&self, id: &JobId) -> Job {
        self.store.load_job(&organization(), id).await.unwrap().unwrap().job
    }

    fn polls(&self) -> usize {
        self.queue.bodies(QueueName::PollJobs).len()
    }
}

fn id(name: &str) -> JobId {
    JobId::parse(name).unwrap()
}

fn poll(name: &str) -> Job {
    Job::queued(organization(), id(name), JobKind::Poll, "marketplace-b", start())
}

fn part(name: &str) -> JobPart {
    let Job { id, kind, subject, .. } = poll(name);
    JobPart { id, kind, subject }
}

#[tokio::test]
async fn work_whose_starter_died_is_queued_by_whoever_asks_next() {
    let desk = Desk::new();
    assert!(start_job(&desk.store, &desk.clock, &poll("first")).await.unwrap().new);
    assert_eq!(desk.polls(), 0, "he died here");
    let given = trigger_one(desk.deps(), &poll("second")).await.unwrap();
    assert_eq!((given.new, given.job.id), (false, id("first")));
    assert_eq!(desk.polls(), 1);
}

#[tokio::test]
async fn part_whose_work_another_job_does_is_left_to_that_one() {
    let desk = Desk::new();
    trigger_one(desk.deps(), &poll("running")).await.unwrap();
    let whole = desk.trigger_all(vec![part("part")]).await;
    assert_eq!(desk.job(&whole).await.status, JobStatus::Completed, "it does not wait for what nobody tells it of");
    assert_eq!(desk.job(&id("running")).await.status, JobStatus::Queued);
}

#[tokio::test]
async fn part_that_ended_untold_ends_its_whole_when_somebody_asks_again() {
    let desk = Desk::new();
    let whole = desk.trigger_all(vec![part("part")]).await;
    let stored = desk.store.load_job(&organization(), &id("part")).await.unwrap().unwrap();
    let mut ended = stored.job;
    assert!(ended.finish(&JobReport::default(), None, start()));
    assert_eq!(desk.store.save_job(Some(stored.rev), &ended).await.unwrap(), JobWrite::Saved);
    assert_eq!(desk.job(&whole).await.parts.len(), 1, "its worker died before he could tell");
    assert_eq!(desk.trigger_all(vec![part("part")]).await, whole);
    assert_eq!(desk.job(&whole).await.status, JobStatus::Completed);
}
