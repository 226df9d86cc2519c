//! When to ask again. Pure: what happened goes in, a wait comes out.

use core::time::Duration;

/// Between two short polls, and after a failure.
const SHORT: Duration = Duration::from_secs(2);

/// How long the centre is asked to hold a poll while nothing changes.
const LONG: Duration = Duration::from_secs(20);

/// After a refused key: somebody has to mend it.
const KEY_REFUSED: Duration = Duration::from_secs(30);

/// An empty answer that comes sooner than this was not held.
const HELD_MIN: Duration = Duration::from_secs(1);

/// Short polls before the next long one, at most.
const SHORT_POLLS_MAX: u32 = 128;

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It brought changes.
    Changes {
        /// There are more.
        more: bool,
    },
    /// There was nothing, after this time.
    Nothing(Duration),
    /// It failed.
    Failed {
        /// The centre asked for this wait.
        retry_after: Option<Duration>,
        /// The key was refused.
        key_refused: bool,
    },
}

/// The rhythm of polls: long ones as long as they work. Something between here and the centre may cut long ones off, so
/// after each failed one twice as many short ones come before the next.
#[derive(Debug, Default)]
pub(crate) struct Cadence {
    /// Long polls that failed in a row.
    long_failures: u32,
    /// Short polls that are still to succeed before the next long one.
    short_left: u32,
}

impl Cadence {
    /// How long the centre should hold the next poll.
    pub(crate) const fn hold(&self) -> Duration {
        if self.short_left == 0 { LONG } else { Duration::ZERO }
    }

    /// Makes the next poll a short one.
    pub(crate) fn look_at_once(&mut self) {
        self.short_left = self.short_left.max(1);
    }

    /// The wait before the next poll, before jitter.
    pub(crate) fn after(&mut self, ended: Ended) -> Duration {
        let was_long = self.short_left == 0;
        match ended {
            Ended::Failed { retry_after, key_refused } => {
                if was_long {
                    self.short_left = (1 << self.long_failures.min(7)).min(SHORT_POLLS_MAX);
                    self.long_failures = self.long_failures.saturating_add(1);
                }
                let least = if key_refused { KEY_REFUSED } else { SHORT };
                retry_after.unwrap_or(least).max(least)
            }
            Ended::Changes { more } => {
                self.succeeded(was_long);
                if more || self.short_left == 0 { Duration::ZERO } else { SHORT }
            }
            Ended::Nothing(after) => {
                self.succeeded(was_long);
                // A centre that does not hold polls would be asked without a pause.
                if (was_long && after >= HELD_MIN) || self.short_left == 0 && !was_long {
                    Duration::ZERO
                } else {
                    SHORT
                }
            }
        }
    }

    fn succeeded(&mut self, was_long: bool) {
        if was_long {
            self.long_failures = 0;
        } else {
            self.short_left = self.short_left.saturating_sub(1);
        }
    }
}

/// The wait before a write is sent again, after so many failures in a row.
pub(crate) fn back_off(failures: u32, retry_after: Option<Duration>) -> Duration {
    let doubled = Duration::from_millis(250).saturating_mul(1 << failures.min(6)).min(Duration::from_secs(10));
    retry_after.unwrap_or_default().max(doubled)
}

/// A wait with jitter, so that the nodes of a chain do not come in step: `permille` from 0 to 1000 adds up to a quarter.
pub(crate) fn jittered(wait: Duration, permille: u32) -> Duration {
    wait + wait * permille.min(1000) / 4000
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Ended = Ended::Failed { retry_after: None, key_refused: false };

    #[test]
    fn long_polls_follow_each_other_without_a_pause() {
        let mut cadence = Cadence::default();
        for ended in [Ended::Nothing(LONG), Ended::Changes { more: true }, Ended::Changes { more: false }] {
            assert_eq!((cadence.hold(), cadence.after(ended)), (LONG, Duration::ZERO));
        }
    }

    #[test]
    fn centre_that_does_not_hold_polls_is_asked_every_two_seconds() {
        let mut cadence = Cadence::default();
        for _ in 0..5 {
            assert_eq!(cadence.after(Ended::Nothing(Duration::from_millis(5))), SHORT);
        }
    }

    #[test]
    fn failures_are_followed_by_short_polls_every_two_seconds_until_one_succeeds() {
        let mut cadence = Cadence::default();
        for _ in 0..10 {
            assert_eq!(cadence.after(FAILED), SHORT);
            assert_eq!(cadence.hold(), Duration::ZERO);
        }
        assert_eq!(cadence.after(Ended::Nothing(Duration::ZERO)), Duration::ZERO);
        assert_eq!(cadence.hold(), LONG);
    }

    #[test]
    fn long_polls_that_keep_failing_become_rare() {
        let mut cadence = Cadence::default();
        let mut short = Vec::new();
        for _ in 0..10 {
            assert_eq!(cadence.hold(), LONG);
            cadence.after(FAILED);
            let mut polls = 0;
            while cadence.hold() == Duration::ZERO {
                cadence.after(Ended::Nothing(Duration::ZERO));
                polls += 1;
            }
            short.push(polls);
        }
        assert_eq!(short, [1, 2, 4, 8, 16, 32, 64, 128, 128, 128]);
    }

    #[test]
    fn requested_waits_are_kept_and_a_refused_key_is_tried_seldom() {
        let mut cadence = Cadence::default();
        let wait = Duration::from_secs(7);
        assert_eq!(cadence.after(Ended::Failed { retry_after: Some(wait), key_refused: false }), wait);
        assert_eq!(cadence.after(Ended::Failed { retry_after: None, key_refused: true }), KEY_REFUSED);
        assert_eq!(back_off(0, Some(wait)), wait);
        assert_eq!(back_off(0, None), Duration::from_millis(250));
        assert_eq!(back_off(60, None), Duration::from_secs(10));
        assert_eq!(jittered(Duration::from_secs(2), 1000), Duration::from_millis(2500));
        assert_eq!(jittered(Duration::from_secs(2), 0), SHORT);
    }
}
