//! A batch of deliveries: who may be called is called, the rest waits, and everything that must not be lost is stored
//! before its message is acknowledged.
//!
//! Each endpoint of a batch goes by itself, so that a slow one delays nobody else's calls. A call that failed is stored
//! with its body and comes back by a message of its own; a call that arrived at once leaves an entry in a log, together
//! with the others of its batch. Killed between call and record, the message comes again, with the same names.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenstock_domain::{
    Admission, Delivery, DeliveryId, Disabled, DisabledReason, Endpoint, EndpointId, OrganizationId, ProbeToken,
    Registry, RetrySchedule, Round, Timestamp,
};
use evenstock_telemetry::{Origins, within};
use futures::StreamExt;
use futures::future::join_all;
use tracing::{error, info, warn};

use super::call::{Outcome, call};
use super::registry::disable_endpoint;
use crate::{
    Arrivals, CallbackJob, CallbackSender, CallbackStore, Clock, Queue, Sealer, StoreError, replay_since, with_causes,
};

/// Calls to one endpoint at a time, in one batch.
pub(super) const PER_ENDPOINT: usize = 5;

/// Tries at writing something down that has happened.
const RECORD_TRIES_MAX: u32 = 4;

/// What delivering needs.
#[derive(Debug)]
pub struct DeliverDeps<'a, S, Q, P, K, C> {
    /// Endpoints and deliveries.
    pub store: &'a S,
    /// Takes the messages of later tries.
    pub queue: &'a Q,
    /// Calls.
    pub sender: &'a P,
    /// Opens the secrets.
    pub sealer: &'a K,
    /// Time.
    pub clock: &'a C,
    /// When deliveries are tried again whose endpoint does not say otherwise.
    pub schedule: &'a RetrySchedule,
    /// Where in traces the jobs come from, by their places.
    pub origins: &'a Origins,
}

impl<S, Q, P, K, C> Clone for DeliverDeps<'_, S, Q, P, K, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, Q, P, K, C> Copy for DeliverDeps<'_, S, Q, P, K, C> {}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliverReport {
    /// Places of the jobs that must come back, and why.
    pub failed: Vec<(usize, String)>,
    /// Calls that arrived.
    pub arrived: u32,
    /// Calls that did not.
    pub missed: u32,
    /// Those among them whose delivery is not tried again.
    pub given_up: u32,
    /// Deliveries that wait for their endpoint.
    pub parked: u32,
    /// Deliveries that are kept because their endpoint is disabled.
    pub kept: u32,
    /// Jobs with nothing left to do: done by another message, or their endpoint was removed.
    pub idle: u32,
}

impl DeliverReport {
    fn add(&mut self, other: Self) {
        self.failed.extend(other.failed);
        self.arrived += other.arrived;
        self.missed += other.missed;
        self.given_up += other.given_up;
        self.parked += other.parked;
        self.kept += other.kept;
        self.idle += other.idle;
    }
}

/// A delivery to be made.
pub(super) struct Work {
    pub(super) place: usize,
    /// `None` while it is not stored.
    pub(super) rev: Option<u64>,
    pub(super) delivery: Delivery,
}

type Group = (OrganizationId, EndpointId);

/// Works on a batch of jobs. Calls that would begin after `until` are parked. `name` tells this batch from all others.
pub async fn deliver<S, Q, P, K, C>(
    deps: DeliverDeps<'_, S, Q, P, K, C>,
    jobs: Vec<(usize, CallbackJob)>,
    name: &str,
    until: Timestamp,
) -> DeliverReport
where
    S: CallbackStore,
    Q: Queue,
    P: CallbackSender,
    K: Sealer,
    C: Clock,
{
    let mut groups: BTreeMap<Group, Vec<(usize, CallbackJob)>> = BTreeMap::new();
    for (place, job) in jobs {
        groups.entry((job.organization().clone(), job.endpoint().clone())).or_default().push((place, job));
    }
    let mut registries: BTreeMap<OrganizationId, Result<Arc<Registry>, String>> = BTreeMap::new();
    for (organization, _) in groups.keys() {
        if !registries.contains_key(organization) {
            let loaded = deps.store.load_registry(organization).await;
            let registry = loaded.map(|(_, registry)| Arc::new(registry)).map_err(|error| {
                let reason = with_causes(&error);
                warn!(organization.id = %organization, error = reason, "callbacks of {organization} come back");
                reason
            });
            registries.insert(organization.clone(), registry);
        }
    }
    let work = groups.into_iter().map(async |((organization, endpoint), jobs)| {
        let registry = match registries.get(&organization) {
            Some(Ok(registry)) => registry,
            unread => {
                let reason = unread.and_then(|unread| unread.as_ref().err()).cloned().unwrap_or_default();
                let failed = jobs.iter().map(|(place, _)| (*place, reason.clone())).collect();
                return DeliverReport { failed, ..DeliverReport::default() };
            }
        };
        deliver_to(deps, &organization, &endpoint, registry.find(&endpoint), jobs, name, until).await
    });
    let mut report = DeliverReport::default();
    join_all(work).await.into_iter().for_each(|part| report.add(part));
    report
}

/// Everything of a batch that is for one endpoint.
async fn deliver_to<S, Q, P, K, C>(
    deps: DeliverDeps<'_, S, Q, P, K, C>,
    organization: &OrganizationId,
    id: &EndpointId,
    endpoint: Option<&Endpoint>,
    jobs: Vec<(usize, CallbackJob)>,
    name: &str,
    until: Timestamp,
) -> DeliverReport
where
    S: CallbackStore,
    Q: Queue,
    P: CallbackSender,
    K: Sealer,
    C: Clock,
{
    let mut report = DeliverReport::default();
    // Replays take what time there is: they come last.
    let is_replay = |(_, job): &(usize, CallbackJob)| matches!(job, CallbackJob::Replay { .. });
    let (replays, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(is_replay);
    let mut work = Vec::new();
    for (place, job) in jobs {
        match prepare(deps, endpoint, place, job, until).await {
            Ok(Some(ready)) => work.push(ready),
            Ok(None) => report.idle += 1,
            Err(reason) => report.failed.push((place, reason)),
        }
    }
    deliver_work(deps, organization, (id, endpoint), work, name, until, &mut report).await;
    for (place, job) in replays {
        match prepare(deps, endpoint, place, job, until).await {
            Ok(_) => report.idle += 1,
            Err(reason) => report.failed.push((place, reason)),
        }
    }
    report
}

/// Calls an endpoint with everything that is ready, if it may be called; the rest waits.
async fn deliver_work<S, Q, P, K, C>(
    deps: DeliverDeps<'_, S, Q, P, K, C>,
    organization: &OrganizationId,
    (id, endpoint): (&EndpointId, Option<&Endpoint>),
    mut work: Vec<Work>,
    name: &str,
    until: Timestamp,
    report: &mut DeliverReport,
) where
    S: CallbackStore,
    Q: Queue,
    P: CallbackSender,
    K: Sealer,
    C: Clock,
{
    if work.is_empty() {
        return;
    }
    let Some(endpoint) = endpoint.filter(|endpoint| endpoint.is_active()) else {
        keep(deps, endpoint.is_some(), work, report).await;
        return;
    };
    match admit(deps, organization, id, name).await {
        Ok(Admission::Open { until }) => park(deps, work, Some(until), report).await,
        Ok(admission) => {
            let rest = match &admission {
                Admission::Probe(_) => work.split_off(1),
                _ => Vec::new(),
            };
            park(deps, rest, None, report).await;
            call_all(deps, organization, endpoint, work, &admission, until, report).await;
        }
        Err(error) => {
            let reason = with_causes(&error);
            warn!(endpoint.id = %id, error = reason, "deliveries to {id} come back");
            report.failed.extend(work.iter().map(|work| (work.place, reason.clone())));
        }
    }
}

/// What a job asks to deliver now; nothing when it was done already, or does itself.
async fn prepare<S, Q, P, K, C>(
    deps: DeliverDeps<'_, S, Q, P, K, C>,
    endpoint: Option<&Endpoint>,
    place: usize,
    job: CallbackJob,
    until: Timestamp,
) -> Result<Option<Work>, String>
where
    S: CallbackStore,
    Q: Queue,
    C: Clock,
{
    match job {
        CallbackJob::First { organization, endpoint, event } => {
            let id = DeliveryId::new(&endpoint, &event.event_id, event.time);
            let delivery = Delivery::new(organization, id, event.event_id, event.event, event.store, event.body);
            Ok(Some(Work { place, rev: None, delivery }))
        }
        CallbackJob::Again { organization, id } => {
            let stored = deps.store.load_delivery(&organization, &id).await.map_err(|error| {
                let reason = with_causes(&error);
                warn!(delivery.id = %id, error = reason, "delivery {id} comes back");
                reason
            })?;
            let ready = stored.filter(|stored| stored.delivery.is_ready(deps.clock.now()));
            Ok(ready.map(|stored| Work { place, rev: Some(stored.rev), delivery: stored.delivery }))
        }
        CallbackJob::Replay { .. } if endpoint.is_none_or(|endpoint| !endpoint.is_active()) => Ok(None),
        CallbackJob::Replay { organization, endpoint, since, after } => {
            let whose = (&organization, &endpoint);
            let progress = replay_since((deps.store, deps.queue, deps.clock), whose, since, after, until).await;
            let going_on = async {
                if let Some(after) = progress?.after {
                    let (organization, endpoint) = (organization.clone(), endpoint.clone());
                    let job = CallbackJob::Replay { organization, endpoint, since, after: Some(after) };
                    deps.queue.send(crate::QueueName::Callbacks, vec![job.outgoing(0)]).await?;
                }
                Ok::<_, crate::ReplayError>(())
            };
            going_on.await.map(|()| None).map_err(|error| {
                let reason = with_causes(&error);
                warn!(endpoint.id = %endpoint, error = reason, "replay of {endpoint} comes back");
                reason
            })
        }
    }
}

/// Whether the endpoint may be called; the right to probe is written down before it is used.
async fn admit<S, Q, P, K, C>(
    deps: DeliverDeps<'_, S, Q, P, K, C>,
    organization: &OrganizationId,
    id: &EndpointId,
    name: &str,
) -> Result<Admission, StoreError>
where
    S: CallbackStore,
    C: Clock,
{
    let token = ProbeToken(name.to_owned());
    for attempt in 1..=RECORD_TRIES_MAX {
        let (rev, health) = deps.store.load_health(organization, id).await?;
        let (admission, next) = health.admit(deps.clock.now(), &token);
        match next {
            None => return Ok(admission),
            Some(next) if deps.store.save_health(organization, id, rev, &next).await? => return Ok(admission),
            Some(_) => deps.clock.back_off(attempt).await,
        }
    }
    Err(StoreError::exhausted(RECORD_TRIES_MAX))
}

/// Calls, a few at a time, and writes down what came of it.
async fn call_all<S, Q, P, K, C>(
    deps: DeliverDeps<'_, S, Q, P, K, C>,
    organization: &OrganizationId,
    endpoint: &Endpoint,
    work: Vec<Work>,
    admission: &Admission,
    until: Timestamp,
    report: &mut DeliverReport,
) where
    S: CallbackStore,
    Q: Queue,
    P: CallbackSender,
    K: Sealer,
    C: Clock,
{
    let (mut round, mut gone, mut late, mut arrivals) = (Round::default(), false, Vec::new(), Vec::new());
    let of = |work: &Work| deps.origins.of(work.place);
    let calls: Vec<_> = work.into_iter().map(|work| within(of(&work), call(deps, endpoint, work, until))).collect();
    let mut calls = futures::stream::iter(calls).buffer_unordered(PER_ENDPOINT);
    while let Some((work, outcome)) = calls.next().await {
        match outcome {
            Outcome::TooLate => late.push(work),
            Outcome::Sealed { reason } | Outcome::Unrecorded { reason } => report.failed.push((work.place, reason)),
            Outcome::Arrived { arrival, duration_ms } => {
                round.add(true, duration_ms, None);
                report.arrived += 1;
                arrivals.extend(arrival.map(|arrival| (work.place, arrival)));
            }
            Outcome::Missed { tried, last } => {
                round.add(false, tried.attempt.duration_ms, tried.wait_ms());
                report.missed += 1;
                report.given_up += u32::from(last);
                gone |= tried.attempt.gone();
            }
        }
    }
    drop(calls);
    park(deps, late, None, report).await;
    log(deps, organization, &endpoint.id, arrivals, report).await;
    settle_health(deps, organization, endpoint, &round, admission, gone).await;
}

/// Writes down what arrived at once. What cannot be written down comes back, and arrives again.
async fn log<S, Q, P, K, C>(
    deps: DeliverDeps<'_, S, Q, P, K, C>,
    organization: &OrganizationId,
    endpoint: &EndpointId,
    arrivals: Vec<(usize, crate::Arrival)>,
    report: &mut DeliverReport,
) where
    S: CallbackStore,
    C: Clock,
{
    if arrivals.is_empty() {
        return;
    }
    let (places, arrived): (Vec<_>, Vec<_>) = arrivals.into_iter().unzip();
    let (organization, endpoint) = (organization.clone(), endpoint.clone());
    let entry = Arrivals { organization, endpoint, at: deps.clock.now(), arrived };
    let mut attempt = 0;
    loop {
        attempt += 1;
        match deps.store.log_arrivals(&entry).await {
            Ok(()) => return,
            Err(error) if error.is_passing() && attempt < RECORD_TRIES_MAX => deps.clock.back_off(attempt).await,
            Err(error) => {
                let reason = with_causes(&error);
                error!(endpoint.id = %entry.endpoint, error = reason, "what arrived cannot be written down");
                report.failed.extend(places.into_iter().map(|place| (place, reason.clone())));
                return;
            }
        }
    }
}

/// How the endpoint has been doing now. What cannot be written down shows again with the next call.
async fn settle_health<S, Q, P, K, C>(
    deps: DeliverDeps<'_, S, Q, P, K, C>,
    organization: &OrganizationId,
    endpoint: &Endpoint,
    round: &Round,
    admission: &Admission,
    gone: bool,
) where
    S: CallbackStore,
    C: Clock,
{
    let (now, id) = (deps.clock.now(), &endpoint.id);
    let mut given_up = false;
    let settled = async {
        for attempt in 1..=RECORD_TRIES_MAX {
            let (rev, health) = deps.store.load_health(organization, id).await?;
            let next = health.after(round, admission, now);
            given_up = round.failed > 0 && next.as_ref().unwrap_or(&health).is_given_up(now);
            match next {
                Some(next) if !deps.store.save_health(organization, id, rev, &next).await? => {
                    deps.clock.back_off(attempt).await;
                }
                _ => return Ok(()),
            }
        }
        Err(StoreError::exhausted(RECORD_TRIES_MAX))
    };
    if let Err(error) = settled.await {
        warn!(endpoint.id = %id, error = with_causes(&error), "how {id} has been doing is not written down");
    }
    let reason = match (gone, given_up) {
        (true, _) => DisabledReason::Gone,
        (false, true) => DisabledReason::Failing,
        (false, false) => return,
    };
    match disable_endpoint(deps.store, deps.clock, organization, endpoint, Disabled { reason, at: now }).await {
        Ok(_) => info!(endpoint.id = %id, reason = reason.as_str(), "endpoint {id} is disabled"),
        Err(error) => warn!(endpoint.id = %id, error = with_causes(&error), "endpoint {id} is disabled later"),
    }
}

async fn park<S, Q, P, K, C>(
    deps: DeliverDeps<'_, S, Q, P, K, C>,
    work: Vec<Work>,
    until: Option<Timestamp>,
    report: &mut DeliverReport,
) where
    S: CallbackStore,
    C: Clock,
{
    let now = deps.clock.now();
    for Work { place, rev, delivery } in work {
        match save(deps, rev, &delivery.parked(until, now)).await {
            Ok(()) => report.parked += 1,
            Err(reason) => report.failed.push((place, reason)),
        }
    }
}

/// Keeps deliveries to a disabled endpoint for a replay. Those to one that was removed are of no use to anybody.
async fn keep<S, Q, P, K, C>(
    deps: DeliverDeps<'_, S, Q, P, K, C>,
    known: bool,
    work: Vec<Work>,
    report: &mut DeliverReport,
) where
    S: CallbackStore,
    C: Clock,
{
    let now = deps.clock.now();
    for Work { place, rev, delivery } in work {
        if !known && rev.is_none() {
            info!(delivery.id = %delivery.id, "delivery {} has no endpoint any more", delivery.id);
            report.idle += 1;
            continue;
        }
        match save(deps, rev, &delivery.kept(now)).await {
            Ok(()) => report.kept += 1,
            Err(reason) => report.failed.push((place, reason)),
        }
    }
}

/// Stores a delivery, unless another message of it was faster: then that one's word stands.
pub(super) async fn save<S, Q, P, K, C>(
    deps: DeliverDeps<'_, S, Q, P, K, C>,
    rev: Option<u64>,
    delivery: &Delivery,
) -> Result<(), String>
where
    S: CallbackStore,
    C: Clock,
{
    let mut attempt = 0;
    loop {
        attempt += 1;
        match deps.store.save_delivery(rev, delivery).await {
            // Refused: somebody else's message, or this very write, whose outcome we did not learn.
            Ok(_) => return Ok(()),
            Err(error) if error.is_passing() && attempt < RECORD_TRIES_MAX => deps.clock.back_off(attempt).await,
            Err(error) => {
                let (id, reason) = (&delivery.id, with_causes(&error));
                error!(delivery.id = %id, error = reason, "delivery {id} cannot be stored and comes back");
                return Err(reason);
            }
        }
    }
}
