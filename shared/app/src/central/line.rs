//! The line to the central system: calls go through its breaker, and none goes out once one has failed.

use std::sync::{Mutex, PoisonError};

use evenstock_domain::{Admission, BreakerConfig, Timestamp};
use tracing::warn;

use super::CentralError;
use super::dispute::central_source;
use crate::{BreakerStore, Clock, report_failure, report_success, with_causes};

/// Why no further call is made.
#[derive(Debug, Clone)]
pub(super) enum Down {
    /// The breaker is open, or another instance probes.
    Open(Timestamp),
    /// A call failed.
    Failed(CentralError),
}

/// The line of one batch.
pub(super) struct Line<'a, S, C> {
    store: &'a S,
    clock: &'a C,
    config: BreakerConfig,
    admission: Admission,
    state: Mutex<LineState>,
}

#[derive(Default)]
struct LineState {
    down: Option<Down>,
    reported: bool,
}

impl<'a, S: BreakerStore, C: Clock> Line<'a, S, C> {
    pub(super) fn new(store: &'a S, clock: &'a C, config: BreakerConfig, admission: Admission) -> Self {
        let down = match &admission {
            Admission::Open { until } => Some(Down::Open(*until)),
            Admission::Closed | Admission::Probe(_) => None,
        };
        Self { store, clock, config, admission, state: Mutex::new(LineState { down, reported: false }) }
    }

    /// How many calls may be under way at a time: a probe is one call, until it is answered.
    pub(super) fn width(&self, width: usize) -> usize {
        let probing = matches!(self.admission, Admission::Probe(_)) && !self.state().reported;
        if probing { 1 } else { width }
    }

    pub(super) fn down(&self) -> Option<Down> {
        self.state().down.clone()
    }

    /// Makes a call, unless one failed before.
    pub(super) async fn call<T>(&self, work: impl Future<Output = Result<T, CentralError>> + Send) -> Result<T, Down> {
        if let Some(down) = self.down() {
            return Err(down);
        }
        match work.await {
            Ok(answer) => {
                if !core::mem::replace(&mut self.state().reported, true) {
                    let told = report_success(self.store, self.clock, &central_source(), &self.admission).await;
                    self.note(told);
                }
                Ok(answer)
            }
            Err(error) => {
                let down = Down::Failed(error.clone());
                let is_first = self.state().down.replace(down.clone()).is_none();
                if is_first && error.counts_as_failure() {
                    let (source, admission) = (central_source(), &self.admission);
                    let told = report_failure(self.store, self.clock, &source, admission, &self.config).await;
                    self.note(told);
                }
                Err(down)
            }
        }
    }

    /// A lost report delays the breaker by one call, and must not undo what was done.
    fn note(&self, told: Result<(), crate::StoreError>) {
        if let Err(error) = told {
            warn!(error = with_causes(&error), "the breaker of the central system could not be told");
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, LineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
