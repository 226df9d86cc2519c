//! The circuit breaker's state machine. One item per store or channel holds it, shared by every instance.

use crate::Timestamp;

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open it.
    pub threshold: u32,
    /// How long it stays open, in milliseconds.
    pub cooldown_ms: i64,
    /// How long a half-open probe may take before another caller may probe, in milliseconds.
    pub probe_ms: i64,
}

/// Proves that its holder was given the one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeToken(pub String);

/// Whether a call may go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// The breaker is closed: call.
    Closed,
    /// The breaker is half-open and this caller has the one probe: call, and report under the token.
    Probe(ProbeToken),
    /// The breaker is open, or another caller probes: do not call before this time.
    Open {
        /// The earliest time of the next try.
        until: Timestamp,
    },
}

/// A circuit breaker. A fresh one is closed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Breaker {
    /// Failures in a row.
    pub failures: u32,
    /// Open until this time, then half-open; `None` while closed.
    pub open_until: Option<Timestamp>,
    /// The probe that is out, with the time at which it counts as lost.
    pub probe: Option<(ProbeToken, Timestamp)>,
}

impl Breaker {
    /// Whether to call now, and the state to store first when that differs from this one. `token` names this caller.
    pub fn admit(&self, now: Timestamp, token: &ProbeToken, config: &BreakerConfig) -> (Admission, Option<Self>) {
        let Some(open_until) = self.open_until else {
            return (Admission::Closed, None);
        };
        if now < open_until {
            return (Admission::Open { until: open_until }, None);
        }
        match &self.probe {
            // Its own probe, found again after a write whose outcome it did not learn.
            Some((holder, _)) if holder == token => (Admission::Probe(token.clone()), None),
            Some((_, lost_at)) if now < *lost_at => (Admission::Open { until: *lost_at }, None),
            _ => {
                let probe = Some((token.clone(), now.plus_millis(config.probe_ms)));
                (Admission::Probe(token.clone()), Some(Self { probe, ..self.clone() }))
            }
        }
    }

    /// The state to store after a call succeeded; `None` when nothing changes, which is the usual case and costs no
    /// write. While open, only the probe's success counts: others began before the trouble did.
    pub fn succeeded(&self, admission: &Admission) -> Option<Self> {
        match (self.open_until, admission) {
            (None, _) => (self.failures > 0).then(Self::default),
            (Some(_), Admission::Probe(token)) if self.probes(token) => Some(Self::default()),
            (Some(_), _) => None,
        }
    }

    /// The state to store after a call failed; `None` when nothing changes.
    pub fn failed(&self, admission: &Admission, now: Timestamp, config: &BreakerConfig) -> Option<Self> {
        let reopened = Some(now.plus_millis(config.cooldown_ms));
        match (self.open_until, admission) {
            (None, _) => {
                let failures = self.failures.saturating_add(1);
                let open_until = if failures >= config.threshold { reopened } else { None };
                Some(Self { failures, open_until, probe: None })
            }
            (Some(_), Admission::Probe(token)) if self.probes(token) => {
                Some(Self { failures: self.failures.saturating_add(1), open_until: reopened, probe: None })
            }
            (Some(_), _) => None,
        }
    }

    /// Whether the last call that was reported failed: it is not closed, or was on its way to open.
    pub const fn is_failing(&self) -> bool {
        self.failures > 0 || self.open_until.is_some()
    }

    fn probes(&self, token: &ProbeToken) -> bool {
        self.probe.as_ref().is_some_and(|(holder, _)| holder == token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: BreakerConfig = BreakerConfig { threshold: 3, cooldown_ms: 900_000, probe_ms: 60_000 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn token(name: &str) -> ProbeToken {
        ProbeToken(name.into())
    }

    fn opened() -> Breaker {
        (0..3).fold(Breaker::default(), |breaker, _| breaker.failed(&Admission::Closed, at(0), &CONFIG).unwrap())
    }

    #[test]
    fn third_failure_in_a_row_opens_for_the_cooldown() {
        let breaker = opened();
        let (admission, stored) = breaker.admit(at(899_999), &token("a"), &CONFIG);
        assert_eq!(admission, Admission::Open { until: at(900_000) });
        assert_eq!(stored, None);
    }

    #[test]
    fn breaker_is_failing_from_the_first_failure_until_a_success() {
        assert!(!Breaker::default().is_failing());
        let once = Breaker::default().failed(&Admission::Closed, at(0), &CONFIG).unwrap();
        assert!(once.is_failing() && opened().is_failing());
        assert!(!once.succeeded(&Admission::Closed).unwrap().is_failing());
        assert!(Breaker { failures: 0, ..opened() }.is_failing(), "it is not closed");
    }

    #[test]
    fn success_in_between_starts_the_row_again() {
        let twice = (0..2).fold(Breaker::default(), |b, _| b.failed(&Admission::Closed, at(0), &CONFIG).unwrap());
        let reset = twice.succeeded(&Admission::Closed).unwrap();
        assert_eq!(reset, Breaker::default());
        assert_eq!(reset.succeeded(&Admission::Closed), None, "a success on a closed breaker writes nothing");
    }

    #[test]
    fn half_open_gives_one_probe_until_it_is_lost() {
        let (first, stored) = opened().admit(at(900_000), &token("a"), &CONFIG);
        assert_eq!(first, Admission::Probe(token("a")));
        let probing = stored.unwrap();
        assert_eq!(probing.admit(at(900_001), &token("a"), &CONFIG), (first, None), "it is its holder's still");
        assert_eq!(probing.admit(at(900_001), &token("b"), &CONFIG).0, Admission::Open { until: at(960_000) });
        assert_eq!(probing.admit(at(960_000), &token("b"), &CONFIG).0, Admission::Probe(token("b")));
    }

    #[test]
    fn only_the_holder_of_the_probe_settles_a_half_open_breaker() {
        let (_, stored) = opened().admit(at(900_000), &token("a"), &CONFIG);
        let (late, stored) = (Admission::Probe(token("a")), stored.unwrap().admit(at(960_000), &token("b"), &CONFIG).1);
        let probing = stored.unwrap();
        assert_eq!(probing.succeeded(&late), None);
        assert_eq!(probing.succeeded(&Admission::Closed), None);
        assert_eq!(probing.failed(&late, at(960_001), &CONFIG), None);
        assert_eq!(probing.succeeded(&Admission::Probe(token("b"))), Some(Breaker::default()));
        let reopened = probing.failed(&Admission::Probe(token("b")), at(960_001), &CONFIG).unwrap();
        assert_eq!(reopened.open_until, Some(at(1_860_001)));
    }
}
