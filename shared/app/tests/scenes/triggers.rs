//! Triggers that go on where another one, or a worker, broke off.

use evenstock_app::testing::MemoryQueue;
use evenstock_app::{Clock, JobStore, JobWrite, QueueName, TriggerDeps, start_job, trigger_all, trigger_one};
use evenstock_domain::{Job, JobId, JobKind, JobPart, JobReport, JobStatus};

use crate::stage::{Stage, organization};

fn id(name: &str) -> JobId {
    JobId::parse(name).unwrap()
}

/// A sync of the one warehouse, to be.
fn warehouse(stage: &Stage, name: &str) -> Job {
    Job::queued(organization(), id(name), JobKind::Warehouse, "depot", stage.clock.now())
}

async fn whole_of(stage: &Stage, queue: &MemoryQueue, parts: &[&str]) -> JobStatus {
    let part = |name: &&str| JobPart { id: id(name), kind: JobKind::Warehouse, subject: "depot".to_owned() };
    let deps = TriggerDeps { store: stage.store.inner(), queue, clock: &stage.clock };
    let parts = parts.iter().map(part).collect();
    trigger_all(deps, &organization(), id("whole"), parts).await.unwrap();
    job(stage, "whole").await.status
}

async fn job(stage: &Stage, name: &str) -> Job {
    stage.store.inner().load_job(&organization(), &id(name)).await.unwrap().unwrap().job
}

#[tokio::test]
async fn work_whose_starter_died_before_he_queued_it_is_queued_by_the_next_who_asks() {
    let (stage, queue) = (Stage::new(), MemoryQueue::default());
    start_job(stage.store.inner(), &stage.clock, &warehouse(&stage, "first")).await.unwrap();
    let deps = TriggerDeps { store: stage.store.inner(), queue: &queue, clock: &stage.clock };
    let given = trigger_one(deps, &warehouse(&stage, "second")).await.unwrap();
    assert_eq!((given.job.id, given.new), (id("first"), false));
    let bodies = queue.bodies(QueueName::WarehouseSync);
    assert!(bodies.len() == 1 && bodies[0].contains("first"), "{bodies:?}");
}

#[tokio::test]
async fn part_whose_work_another_job_does_ends_at_once() {
    let (stage, queue) = (Stage::new(), MemoryQueue::default());
    start_job(stage.store.inner(), &stage.clock, &warehouse(&stage, "other")).await.unwrap();
    assert_eq!(whole_of(&stage, &queue, &["part"]).await, JobStatus::Completed);
    assert_eq!(job(&stage, "other").await.status, JobStatus::Queued, "its own work is not done");
}

#[tokio::test]
async fn part_whose_worker_died_before_he_told_its_end_is_ended_by_the_next_who_asks() {
    let (stage, queue) = (Stage::new(), MemoryQueue::default());
    assert_eq!(whole_of(&stage, &queue, &["part"]).await, JobStatus::Queued);
    let stored = stage.store.inner().load_job(&organization(), &id("part")).await.unwrap().unwrap();
    let mut part = stored.job;
    assert!(part.finish(&JobReport::default(), None, stage.clock.now()));
    assert_eq!(stage.store.inner().save_job(Some(stored.rev), &part).await.unwrap(), JobWrite::Saved);
    assert_eq!(job(&stage, "whole").await.status, JobStatus::Queued, "nobody told it");
    assert_eq!(whole_of(&stage, &queue, &["part"]).await, JobStatus::Completed);
}

#[tokio::test]
async fn whole_of_no_parts_ends_at_once() {
    let (stage, queue) = (Stage::new(), MemoryQueue::default());
    assert_eq!(whole_of(&stage, &queue, &[]).await, JobStatus::Completed);
}
