//! The switch of an organization's periodic sync: whether it runs, and how often. What must never stop (expiries,
//! callbacks) does not look at it.

use core::future::Future;

use evenstock_domain::{OrganizationId, Timestamp};

use crate::StoreError;

/// The switch as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncSwitch {
    /// Whether the periodic sync runs; it does until somebody stops it.
    pub on: bool,
    /// Time between two runs in milliseconds, when somebody chose one.
    pub interval_ms: Option<i64>,
    /// When it was last switched.
    pub changed_at: Option<Timestamp>,
    /// When the periodic sync last ran.
    pub last_run_at: Option<Timestamp>,
}

/// What a tick of the schedule should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing: it is switched off.
    Off,
    /// Run now: it was switched on since the last run.
    Now,
    /// Run if an interval has passed.
    IfDue,
}

impl Default for SyncSwitch {
    fn default() -> Self {
        Self { on: true, interval_ms: None, changed_at: None, last_run_at: None }
    }
}

impl SyncSwitch {
    /// What a tick should do. Whoever has just switched it on should not wait for what an older, longer interval left.
    pub fn turn(&self) -> Turn {
        match self.changed_at {
            _ if !self.on => Turn::Off,
            Some(changed_at) if self.last_run_at.is_none_or(|ran_at| ran_at < changed_at) => Turn::Now,
            _ => Turn::IfDue,
        }
    }

    /// When it runs next, with `default_ms` between two runs unless somebody chose otherwise; `None` while it is off.
    pub fn next_run_at(&self, now: Timestamp, default_ms: i64) -> Option<Timestamp> {
        match (self.turn(), self.last_run_at) {
            (Turn::Off, _) => None,
            (Turn::Now, _) | (Turn::IfDue, None) => Some(now),
            (Turn::IfDue, Some(ran_at)) => Some(now.max(ran_at.plus_millis(self.interval_ms.unwrap_or(default_ms)))),
        }
    }
}

/// Switches, one item an organization.
pub trait SwitchStore: Send + Sync {
    /// Reads the switch; the default one when nobody touched it.
    fn load_switch(&self, organization: &OrganizationId)
    -> impl Future<Output = Result<SyncSwitch, StoreError>> + Send;

    /// Switches on or off at `now`, unless somebody did so later; `None` leaves the interval as it is. Gives the switch
    /// as it stands then.
    fn set_switch(
        &self,
        organization: &OrganizationId,
        on: bool,
        interval_ms: Option<i64>,
        now: Timestamp,
    ) -> impl Future<Output = Result<SyncSwitch, StoreError>> + Send;

    /// Keeps that the periodic sync ran at `now`.
    fn mark_run(
        &self,
        organization: &OrganizationId,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Option<Timestamp> {
        Timestamp::from_millis(millis).ok()
    }

    #[test]
    fn tick_runs_at_once_after_a_start_and_then_by_interval() {
        let now = Timestamp::EPOCH.plus_millis(100);
        let fresh = SyncSwitch::default();
        assert_eq!((fresh.turn(), fresh.next_run_at(now, 5)), (Turn::IfDue, Some(now)));
        let started = SyncSwitch { interval_ms: Some(10), changed_at: at(90), last_run_at: at(80), ..fresh };
        assert_eq!((started.turn(), started.next_run_at(now, 5)), (Turn::Now, Some(now)));
        let ran = SyncSwitch { last_run_at: at(95), ..started };
        assert_eq!((ran.turn(), ran.next_run_at(now, 5)), (Turn::IfDue, at(105)));
        let stopped = SyncSwitch { on: false, ..started };
        assert_eq!((stopped.turn(), stopped.next_run_at(now, 5)), (Turn::Off, None));
    }
}
