//! When a delivery that failed is tried again.

use core::fmt;

/// Waits of one schedule, at most.
const WAITS_MAX: usize = 20;

/// The longest wait, in seconds: a day.
const WAIT_SECONDS_MAX: u32 = 24 * 60 * 60;

/// Waits after the first try unless somebody says otherwise, in seconds: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h
/// and 24 h.
const DEFAULT: [u32; 9] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// How far jitter moves a wait to either side, in thousandths.
const JITTER_PERMILLE_MAX: i64 = 200;

/// The waits after the first try, after the second, and so on. When none is left, the delivery has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule(Vec<u32>);

/// Why texts are no schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// There are more than 20.
    #[error("must hold at most 20 waits")]
    TooMany,
    /// One is not a number with a unit.
    #[error("must hold waits such as 5s, 30m or 2h")]
    NotAWait,
    /// One is shorter than a second or longer than a day.
    #[error("must hold waits from 1s to 24h")]
    OutOfRange,
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self(DEFAULT.to_vec())
    }
}

impl RetrySchedule {
    /// Reads waits such as `5s`, `5m`, `2h`. None at all means one try.
    ///
    /// # Errors
    /// [`InvalidSchedule`].
    pub fn from_waits<'a>(waits: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidSchedule> {
        let waits = waits.into_iter().map(wait_seconds).collect::<Result<Vec<_>, _>>()?;
        if waits.len() > WAITS_MAX { Err(InvalidSchedule::TooMany) } else { Ok(Self(waits)) }
    }

    /// Reads a list such as `1m,5m`.
    ///
    /// # Errors
    /// [`InvalidSchedule`].
    pub fn parse(text: &str) -> Result<Self, InvalidSchedule> {
        Self::from_waits(text.split(',').map(str::trim))
    }

    /// Reads what was stored: seconds.
    ///
    /// # Errors
    /// [`InvalidSchedule`].
    pub fn from_seconds(waits: Vec<u32>) -> Result<Self, InvalidSchedule> {
        if waits.len() > WAITS_MAX {
            Err(InvalidSchedule::TooMany)
        } else if waits.iter().any(|wait| !(1..=WAIT_SECONDS_MAX).contains(wait)) {
            Err(InvalidSchedule::OutOfRange)
        } else {
            Ok(Self(waits))
        }
    }

    /// The waits, in seconds.
    pub fn seconds(&self) -> &[u32] {
        &self.0
    }

    /// The waits as they are written: `5s`, `5m`.
    pub fn waits(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|seconds| match seconds {
            whole if whole % 3600 == 0 => format!("{}h", whole / 3600),
            whole if whole % 60 == 0 => format!("{}m", whole / 60),
            seconds => format!("{seconds}s"),
        })
    }

    /// How long to wait after `tries` tries, in milliseconds; `None` when that was the last. `jitter_permille` moves it by
    /// up to a fifth to either side, so that what failed together does not come back together.
    pub fn wait_ms(&self, tries: u32, jitter_permille: i64) -> Option<i64> {
        let place = usize::try_from(tries.checked_sub(1)?).ok()?;
        let jitter = jitter_permille.clamp(-JITTER_PERMILLE_MAX, JITTER_PERMILLE_MAX);
        self.0.get(place).map(|seconds| i64::from(*seconds).saturating_mul(1000_i64.saturating_add(jitter)))
    }
}

impl fmt::Display for RetrySchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.waits().collect::<Vec<_>>().join(","))
    }
}

fn wait_seconds(text: &str) -> Result<u32, InvalidSchedule> {
    let unit_at = text.len().checked_sub(1).ok_or(InvalidSchedule::NotAWait)?;
    let (count, unit) = text.split_at_checked(unit_at).ok_or(InvalidSchedule::NotAWait)?;
    let unit_seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(InvalidSchedule::NotAWait),
    };
    if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidSchedule::NotAWait);
    }
    let seconds = count.parse::<u32>().ok().and_then(|count| count.checked_mul(unit_seconds));
    seconds.filter(|seconds| (1..=WAIT_SECONDS_MAX).contains(seconds)).ok_or(InvalidSchedule::OutOfRange)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1s,1s", &[1, 1])]
    #[case("1m, 5m", &[60, 300])]
    #[case("24h", &[86_400])]
    fn schedule_reads_waits(#[case] text: &str, #[case] seconds: &[u32]) {
        assert_eq!(RetrySchedule::parse(text).unwrap().seconds(), seconds);
    }

    #[rstest]
    #[case("", InvalidSchedule::NotAWait)]
    #[case("5", InvalidSchedule::NotAWait)]
    #[case("s", InvalidSchedule::NotAWait)]
    #[case("-5s", InvalidSchedule::NotAWait)]
    #[case("1.5h", InvalidSchedule::NotAWait)]
    #[case("5ß", InvalidSchedule::NotAWait)]
    #[case("1s,,1s", InvalidSchedule::NotAWait)]
    #[case("0s", InvalidSchedule::OutOfRange)]
    #[case("25h", InvalidSchedule::OutOfRange)]
    #[case("99999999999h", InvalidSchedule::OutOfRange)]
    fn other_texts_are_no_schedule(#[case] text: &str, #[case] issue: InvalidSchedule) {
        assert_eq!(RetrySchedule::parse(text), Err(issue));
    }

    #[test]
    fn more_than_twenty_waits_are_too_many() {
        assert!(RetrySchedule::from_waits(["1s"; 20]).is_ok());
        assert_eq!(RetrySchedule::from_waits(["1s"; 21]), Err(InvalidSchedule::TooMany));
        assert_eq!(RetrySchedule::from_waits([]).unwrap().wait_ms(1, 0), None, "no waits, one try");
    }

    #[test]
    fn default_goes_on_for_three_days() {
        let schedule = RetrySchedule::default();
        assert_eq!(schedule.to_string(), "5s,5m,30m,2h,5h,10h,14h,20h,24h");
        assert_eq!(
            (schedule.wait_ms(1, 0), schedule.wait_ms(9, 0), schedule.wait_ms(10, 0)),
            (Some(5000), Some(86_400_000), None)
        );
        assert_eq!(schedule.wait_ms(0, 0), None);
    }

    proptest! {
        #[test]
        fn jitter_moves_a_wait_by_a_fifth_at_most(tries in 1_u32..10, jitter in any::<i64>()) {
            let schedule = RetrySchedule::default();
            let (plain, moved) = (schedule.wait_ms(tries, 0).unwrap(), schedule.wait_ms(tries, jitter).unwrap());
            prop_assert!((plain * 4 / 5..=plain * 6 / 5).contains(&moved));
        }

        #[test]
        fn schedule_reads_back(seconds in proptest::collection::vec(1_u32..=86_400, 1..20)) {
            let schedule = RetrySchedule::from_seconds(seconds).unwrap();
            prop_assert_eq!(RetrySchedule::parse(&schedule.to_string()).unwrap(), schedule);
        }
    }
}
