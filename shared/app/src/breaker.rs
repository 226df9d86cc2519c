//! Circuit breakers shared by every instance: read, decide, write if unchanged.

use core::future::Future;

use evenstock_domain::{Admission, Breaker, BreakerConfig, OrganizationId, ProbeToken, Source};

use crate::{BreakerStore, Clock, StoreError};

/// Tries before a report is given up; losing one delays opening by one failure.
const ATTEMPTS_MAX: u32 = 6;

/// What one breaker guards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    /// The breaker's name: a channel and a store, a warehouse, or the central system.
    pub name: Source,
    /// Whose store or warehouse it is; `None` for what belongs to the whole deployment.
    pub organization: Option<OrganizationId>,
}

impl Circuit {
    /// A store or a warehouse of an organization.
    pub const fn of(organization: OrganizationId, name: Source) -> Self {
        Self { name, organization: Some(organization) }
    }

    /// Something that all organizations share.
    pub const fn shared(name: Source) -> Self {
        Self { name, organization: None }
    }
}

/// Breakers whose last call failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FailingBreakers {
    /// Their names and states: first those that stay open longest, last those that are still closed.
    pub breakers: Vec<(Source, Breaker)>,
    /// Whether there are more than were asked for.
    pub more: bool,
}

/// Finds the breakers that are not well, among thousands that are.
pub trait BreakerWatch: Send + Sync {
    /// Up to `limit` breakers that have failures or are not closed: those of an organization's stores and warehouses, or
    /// without one all of the deployment. One that began to fail a moment ago may be missing; one that is well again is
    /// not listed.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn failing_breakers(
        &self,
        organization: Option<&OrganizationId>,
        limit: u32,
    ) -> impl Future<Output = Result<FailingBreakers, StoreError>> + Send;
}

/// Asks whether a call may go out. Of many that ask a half-open breaker at once, one gets the probe.
///
/// # Errors
/// [`StoreError`] when the breaker cannot be read or its probe cannot be claimed.
pub async fn admit<S: BreakerStore, C: Clock>(
    store: &S,
    clock: &C,
    circuit: &Circuit,
    token: &ProbeToken,
    config: &BreakerConfig,
) -> Result<Admission, StoreError> {
    for attempt in 1..=ATTEMPTS_MAX {
        let (rev, breaker) = store.load_breaker(&circuit.name).await?;
        let (admission, next) = breaker.admit(clock.now(), token, config);
        let Some(next) = next else {
            return Ok(admission);
        };
        if store.save_breaker(circuit, rev, &next).await? {
            return Ok(admission);
        }
        clock.back_off(attempt).await;
    }
    Err(StoreError::exhausted(ATTEMPTS_MAX))
}

/// Reports that an admitted call succeeded. Costs no write on a closed breaker without failures.
///
/// # Errors
/// [`StoreError`] when the report cannot be stored.
pub async fn report_success<S: BreakerStore, C: Clock>(
    store: &S,
    clock: &C,
    circuit: &Circuit,
    admission: &Admission,
) -> Result<(), StoreError> {
    report(store, clock, circuit, |breaker| breaker.succeeded(admission)).await
}

/// Reports that an admitted call failed.
///
/// # Errors
/// [`StoreError`] when the report cannot be stored.
pub async fn report_failure<S: BreakerStore, C: Clock>(
    store: &S,
    clock: &C,
    circuit: &Circuit,
    admission: &Admission,
    config: &BreakerConfig,
) -> Result<(), StoreError> {
    report(store, clock, circuit, |breaker| breaker.failed(admission, clock.now(), config)).await
}

async fn report<S: BreakerStore, C: Clock>(
    store: &S,
    clock: &C,
    circuit: &Circuit,
    change: impl Fn(&Breaker) -> Option<Breaker> + Send,
) -> Result<(), StoreError> {
    let mut written: Option<(u64, Breaker)> = None;
    for attempt in 1..=ATTEMPTS_MAX {
        let (rev, breaker) = store.load_breaker(&circuit.name).await?;
        // Our own write, whose answer was lost: to report it again would count it twice.
        if written.as_ref().is_some_and(|(own, next)| rev == Some(*own) && breaker == *next) {
            return Ok(());
        }
        let Some(next) = change(&breaker) else {
            return Ok(());
        };
        if store.save_breaker(circuit, rev, &next).await? {
            return Ok(());
        }
        written = Some((rev.map_or(1, |rev| rev.saturating_add(1)), next));
        clock.back_off(attempt).await;
    }
    Err(StoreError::exhausted(ATTEMPTS_MAX))
}
