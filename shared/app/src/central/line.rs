//! The line to the central system: calls go through its breaker, and none goes out once one has failed.

use std::sync::{Mutex, PoisonError};

use evenstock_domain::{Admission, BreakerConfig, ProbeToken, Timestamp};
use futures::lock::Mutex as Turn;
use tracing::warn;

use super::CentralError;
use super::dispute::central_source;
use crate::{BreakerStore, Circuit, Clock, StoreError, admit, report_failure, report_success, with_causes};

/// Why no further call is made.
#[derive(Debug, Clone)]
pub(super) enum Down {
    /// The breaker is open, or another instance probes.
    Open(Timestamp),
    /// The breaker cannot be read.
    Unknown(String),
    /// A call failed.
    Failed(CentralError),
}

/// The line of one batch. A batch that calls nobody does not ask the breaker, and takes no probe.
pub(super) struct Line<'a, S, C> {
    store: &'a S,
    clock: &'a C,
    circuit: Circuit,
    config: BreakerConfig,
    token: ProbeToken,
    /// What the breaker said. A probe keeps it to itself until it is answered.
    turn: Turn<Option<Admission>>,
    down: Mutex<Option<Down>>,
}

impl<'a, S: BreakerStore, C: Clock> Line<'a, S, C> {
    pub(super) fn new(store: &'a S, clock: &'a C, config: BreakerConfig, name: &str) -> Self {
        let token = ProbeToken(name.to_owned());
        let circuit = Circuit::shared(central_source());
        Self { store, clock, circuit, config, token, turn: Turn::new(None), down: Mutex::new(None) }
    }

    pub(super) fn down(&self) -> Option<Down> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a call, unless one failed before.
    pub(super) async fn call<T>(&self, work: impl Future<Output = Result<T, CentralError>> + Send) -> Result<T, Down> {
        let mut turn = self.turn.lock().await;
        if let Some(down) = self.down() {
            return Err(down);
        }
        let is_first = turn.is_none();
        let admission = match turn.take() {
            Some(admission) => admission,
            None => self.admission().await?,
        };
        let probe = match &admission {
            Admission::Open { until } => {
                // An alarm counts these lines.
                warn!(breaker = %self.circuit.name, %until, "breaker_open");
                return Err(self.goes_down(Down::Open(*until)));
            }
            Admission::Probe(_) => Some(turn),
            Admission::Closed => {
                *turn = Some(Admission::Closed);
                drop(turn);
                None
            }
        };
        match work.await {
            Ok(answer) => {
                if is_first {
                    self.note(report_success(self.store, self.clock, &self.circuit, &admission).await);
                }
                if let Some(mut turn) = probe {
                    *turn = Some(Admission::Closed);
                }
                Ok(answer)
            }
            Err(error) => {
                let was_up = self.down().is_none();
                let down = self.goes_down(Down::Failed(error.clone()));
                if was_up && error.counts_as_failure() {
                    let told = report_failure(self.store, self.clock, &self.circuit, &admission, &self.config).await;
                    self.note(told);
                } else if was_up {
                    // It is well, and wants to be left alone for a while.
                    self.note(report_success(self.store, self.clock, &self.circuit, &admission).await);
                }
                Err(down)
            }
        }
    }

    async fn admission(&self) -> Result<Admission, Down> {
        let admission = admit(self.store, self.clock, &self.circuit, &self.token, &self.config).await;
        admission.map_err(|error| self.goes_down(Down::Unknown(with_causes(&error))))
    }

    fn goes_down(&self, down: Down) -> Down {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).replace(down.clone());
        down
    }

    /// A lost report delays the breaker by one call, and must not undo what was done.
    fn note(&self, told: Result<(), StoreError>) {
        if let Err(error) = told {
            warn!(error = with_causes(&error), "the breaker of the central system could not be told");
        }
    }
}
