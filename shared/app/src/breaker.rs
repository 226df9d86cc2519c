//! Circuit breakers shared by every instance: read, decide, write if unchanged.

use evenstock_domain::{Admission, Breaker, BreakerConfig, ProbeToken, Source};

use crate::{BreakerStore, Clock, StoreError};

/// Tries before a report is given up; losing one delays opening by one failure.
const ATTEMPTS_MAX: u32 = 6;

/// Asks whether a call may go out. Of many that ask a half-open breaker at once, one gets the probe.
///
/// # Errors
/// [`StoreError`] when the breaker cannot be read or its probe cannot be claimed.
pub async fn admit<S: BreakerStore, C: Clock>(
    store: &S,
    clock: &C,
    name: &Source,
    token: &ProbeToken,
    config: &BreakerConfig,
) -> Result<Admission, StoreError> {
    for attempt in 1..=ATTEMPTS_MAX {
        let (rev, breaker) = store.load_breaker(name).await?;
        let (admission, next) = breaker.admit(clock.now(), token, config);
        let Some(next) = next else {
            return Ok(admission);
        };
        if store.save_breaker(name, rev, &next).await? {
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
    name: &Source,
    admission: &Admission,
) -> Result<(), StoreError> {
    report(store, clock, name, |breaker| breaker.succeeded(admission)).await
}

/// Reports that an admitted call failed.
///
/// # Errors
/// [`StoreError`] when the report cannot be stored.
pub async fn report_failure<S: BreakerStore, C: Clock>(
    store: &S,
    clock: &C,
    name: &Source,
    admission: &Admission,
    config: &BreakerConfig,
) -> Result<(), StoreError> {
    report(store, clock, name, |breaker| breaker.failed(admission, clock.now(), config)).await
}

async fn report<S: BreakerStore, C: Clock>(
    store: &S,
    clock: &C,
    name: &Source,
    change: impl Fn(&Breaker) -> Option<Breaker> + Send,
) -> Result<(), StoreError> {
    let mut written: Option<(u64, Breaker)> = None;
    for attempt in 1..=ATTEMPTS_MAX {
        let (rev, breaker) = store.load_breaker(name).await?;
        // Our own write, whose answer was lost: to report it again would count it twice.
        if written.as_ref().is_some_and(|(own, next)| rev == Some(*own) && breaker == *next) {
            return Ok(());
        }
        let Some(next) = change(&breaker) else {
            return Ok(());
        };
        if store.save_breaker(name, rev, &next).await? {
            return Ok(());
        }
        written = Some((rev.map_or(1, |rev| rev.saturating_add(1)), next));
        clock.back_off(attempt).await;
    }
    Err(StoreError::exhausted(ATTEMPTS_MAX))
}
