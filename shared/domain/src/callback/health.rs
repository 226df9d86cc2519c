//! How an endpoint has been doing: whether it is called now, and whether it is given up.
//!
//! One item an endpoint, written only when something changes: an endpoint that works costs nothing. Several calls of one
//! batch count once, by their best.

use crate::{Admission, Breaker, BreakerConfig, ProbeToken, Timestamp};

/// When the breaker of an endpoint opens: after five batches of nothing but failures, for half a minute.
const BREAKER: BreakerConfig = BreakerConfig { threshold: 5, cooldown_ms: 30_000, probe_ms: 60_000 };

/// How long an endpoint may do nothing but fail before it is disabled, in milliseconds: five days.
const FAILING_MS_MAX: i64 = 5 * 24 * 60 * 60 * 1000;

/// A call that took longer, in milliseconds, counts against the endpoint even though it arrived.
const SLOW_MS: u32 = 10_000;

/// How an endpoint has been doing. A fresh one is well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointHealth {
    /// Since when every call failed.
    pub failing_since: Option<Timestamp>,
    /// The receiver does not want to be called before.
    pub not_before: Option<Timestamp>,
    /// Keeps us from calling what is down.
    pub breaker: Breaker,
}

/// What the calls of one batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// Calls that arrived.
    pub succeeded: u32,
    /// Those of them that were slow.
    pub slow: u32,
    /// Calls that did not arrive.
    pub failed: u32,
    /// The longest wait that the receiver asked for, in milliseconds.
    pub wait_ms: Option<i64>,
}

impl Round {
    /// Counts a call.
    pub fn add(&mut self, arrived: bool, duration_ms: u32, wait_ms: Option<i64>) {
        if arrived {
            self.succeeded = self.succeeded.saturating_add(1);
            self.slow = self.slow.saturating_add(u32::from(duration_ms > SLOW_MS));
        } else {
            self.failed = self.failed.saturating_add(1);
        }
        self.wait_ms = self.wait_ms.max(wait_ms);
    }
}

impl EndpointHealth {
    /// Whether to call now, and what to store first when that changes something. `token` names this caller.
    pub fn admit(&self, now: Timestamp, token: &ProbeToken) -> (Admission, Option<Self>) {
        if let Some(until) = self.not_before.filter(|until| now < *until) {
            return (Admission::Open { until }, None);
        }
        let (admission, breaker) = self.breaker.admit(now, token, &BREAKER);
        (admission, breaker.map(|breaker| Self { breaker, ..self.clone() }))
    }

    /// After the calls of a batch; `None` when nothing changes, which is the usual case.
    pub fn after(&self, round: &Round, admission: &Admission, now: Timestamp) -> Option<Self> {
        if round.succeeded == 0 && round.failed == 0 {
            return None;
        }
        let well = round.succeeded > round.slow;
        let breaker =
            if well { self.breaker.succeeded(admission) } else { self.breaker.failed(admission, now, &BREAKER) };
        let failing_since = if round.succeeded > 0 { None } else { Some(self.failing_since.unwrap_or(now)) };
        let asked = round.wait_ms.map(|wait| now.plus_millis(wait));
        let not_before = asked.max(self.not_before).filter(|until| *until > now);
        let next = Self { failing_since, not_before, breaker: breaker.unwrap_or_else(|| self.breaker.clone()) };
        (next != *self).then_some(next)
    }

    /// How it stands when somebody says that it may be called again: the breaker begins anew. What the receiver asked for,
    /// and since when it fails, stands.
    #[must_use]
    pub fn tried_again(&self) -> Self {
        Self { breaker: Breaker::default(), ..self.clone() }
    }

    /// Whether it did nothing but fail for so long that it is given up.
    pub fn is_given_up(&self, now: Timestamp) -> bool {
        self.failing_since.is_some_and(|since| now.millis_since(since) >= FAILING_MS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn round(succeeded: u32, failed: u32) -> Round {
        Round { succeeded, failed, ..Round::default() }
    }

    fn token() -> ProbeToken {
        ProbeToken("t".to_owned())
    }

    fn failing(batches: i64) -> EndpointHealth {
        (0..batches)
            .fold(EndpointHealth::default(), |health, n| health.after(&round(0, 3), &Admission::Closed, at(n)).unwrap())
    }

    #[test]
    fn endpoint_that_may_be_called_again_keeps_what_its_receiver_asked_for() {
        let breaker = Breaker { failures: 7, ..Breaker::default() };
        let down = EndpointHealth { failing_since: Some(at(1)), not_before: Some(at(9)), breaker };
        assert_eq!(down.tried_again(), EndpointHealth { breaker: Breaker::default(), ..down });
        assert_ne!(down.tried_again(), down);
    }

    #[test]
    fn endpoint_is_given_up_after_five_days() {
        assert_eq!(FAILING_MS_MAX, 432_000_000);
    }

    #[test]
    fn call_that_arrived_late_is_slow_and_the_longest_wait_counts() {
        let mut round = Round::default();
        round.add(true, SLOW_MS, None);
        round.add(true, SLOW_MS + 1, Some(5));
        round.add(true, SLOW_MS + 2, None);
        round.add(false, SLOW_MS + 1, Some(9));
        round.add(false, 1, Some(2));
        assert_eq!(round, Round { succeeded: 3, slow: 2, failed: 2, wait_ms: Some(9) });
    }

    #[test]
    fn success_of_a_healthy_endpoint_writes_nothing() {
        assert_eq!(EndpointHealth::default().after(&round(9, 0), &Admission::Closed, at(0)), None);
        assert_eq!(EndpointHealth::default().after(&round(6, 4), &Admission::Closed, at(0)), None, "some arrived");
        assert_eq!(failing(3).after(&Round::default(), &Admission::Closed, at(9)), None, "nothing was tried");
        assert_eq!(failing(4).after(&round(1, 9), &Admission::Closed, at(9)), Some(EndpointHealth::default()));
    }

    #[test]
    fn fifth_batch_of_failures_stops_calls_until_a_probe_succeeds() {
        assert_eq!(failing(4).admit(at(5), &token()).0, Admission::Closed);
        let down = failing(5);
        assert_eq!(down.admit(at(5), &token()).0, Admission::Open { until: at(30_004) });
        let (probe, probing) = down.admit(at(30_004), &token());
        assert_eq!(probe, Admission::Probe(token()));
        let probing = probing.unwrap();
        assert!(matches!(probing.admit(at(30_005), &ProbeToken("other".to_owned())).0, Admission::Open { .. }));
        assert_eq!(probing.after(&round(1, 0), &probe, at(30_010)), Some(EndpointHealth::default()));
        let still = probing.after(&round(0, 1), &probe, at(30_010)).unwrap();
        assert_eq!(still.admit(at(30_011), &token()).0, Admission::Open { until: at(60_010) });
    }

    #[test]
    fn slow_answers_open_the_breaker_but_are_no_failures() {
        let slow = Round { succeeded: 2, slow: 2, ..Round::default() };
        let health =
            (0..5).fold(EndpointHealth::default(), |health, _| health.after(&slow, &Admission::Closed, at(0)).unwrap());
        assert!(matches!(health.admit(at(1), &token()).0, Admission::Open { .. }));
        assert_eq!(health.failing_since, None);
    }

    #[test]
    fn endpoint_that_asks_for_a_pause_gets_it() {
        let asked = Round { wait_ms: Some(7000), ..round(3, 1) };
        let health = EndpointHealth::default().after(&asked, &Admission::Closed, at(0)).unwrap();
        assert_eq!(health.admit(at(6999), &token()).0, Admission::Open { until: at(7000) });
        assert_eq!(health.admit(at(7000), &token()).0, Admission::Closed);
        let later = health.after(&round(1, 0), &Admission::Closed, at(7001));
        assert_eq!(later, Some(EndpointHealth::default()));
    }

    #[test]
    fn five_days_of_only_failures_give_an_endpoint_up() {
        let health = failing(1);
        assert!(!health.is_given_up(at(FAILING_MS_MAX - 1)));
        assert!(health.is_given_up(at(FAILING_MS_MAX)));
        let once = health.after(&round(1, 5), &Admission::Closed, at(FAILING_MS_MAX - 1)).unwrap();
        assert!(!once.is_given_up(at(2 * FAILING_MS_MAX)));
    }
}
