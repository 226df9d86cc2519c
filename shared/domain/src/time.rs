//! Points in time as whole milliseconds, and their RFC 3339 form. Never reads a clock.

use core::fmt;

/// A point in time: whole milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A time that is not RFC 3339, or lies outside the years 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an RFC 3339 time between 1970 and 9999")]
pub struct InvalidTime;

impl Timestamp {
    /// The Unix epoch. Stands for "nothing yet" where a level records the newest time that it has seen of something.
    pub const EPOCH: Self = Self(0);

    /// The last hour of the year 9999 that every offset can write; later times are refused.
    pub const MAX: Self = Self(253_402_207_200_000);

    /// A time from milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`InvalidTime`] when it lies before 1970 or after 9999.
    pub const fn from_millis(millis: i64) -> Result<Self, InvalidTime> {
        if millis < 0 || millis > Self::MAX.0 { Err(InvalidTime) } else { Ok(Self(millis)) }
    }

    /// A time from seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`InvalidTime`] when it lies before 1970 or after 9999.
    pub const fn from_seconds(seconds: i64) -> Result<Self, InvalidTime> {
        match seconds.checked_mul(1000) {
            Some(millis) => Self::from_millis(millis),
            None => Err(InvalidTime),
        }
    }

    /// Reads an RFC 3339 time with any offset; finer digits than milliseconds are cut off.
    ///
    /// # Errors
    /// [`InvalidTime`] for any other text, and outside the years 1970 to 9999.
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        if !is_rfc3339(text.as_bytes()) {
            return Err(InvalidTime);
        }
        let parsed: jiff::Timestamp = text.parse().map_err(|_| InvalidTime)?;
        Self::from_millis(parsed.as_millisecond())
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This time moved by a number of milliseconds, kept within the representable range.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        let moved = self.0.saturating_add(millis);
        if moved < 0 {
            Self::EPOCH
        } else if moved > Self::MAX.0 {
            Self::MAX
        } else {
            Self(moved)
        }
    }

    /// Milliseconds from `earlier` to this time; negative when `earlier` is in fact later.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

/// Whether the text has the shape of RFC 3339. The parser takes other notations too, which the contract does not.
fn is_rfc3339(text: &[u8]) -> bool {
    let matches = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text.iter().zip(shape).all(|(byte, shape)| match shape {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't' | b' '),
                b'+' => matches!(byte, b'+' | b'-'),
                other => byte == other,
            })
    };
    let Some((date_time, rest)) = text.split_at_checked(19) else {
        return false;
    };
    let digits = match rest.strip_prefix(b".") {
        Some(fraction) => fraction.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        None => 0,
    };
    let zone = match rest {
        [b'.', fraction @ ..] if digits > 0 => fraction.get(digits..).unwrap_or_default(),
        other => other,
    };
    matches(date_time, b"0000-00-00T00:00:00") && (matches!(zone, b"Z" | b"z") || matches(zone, b"+00:00"))
}

/// RFC 3339 in UTC with milliseconds: `2026-11-20T08:00:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => Err(fmt::Error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_time_stays_within_what_can_be_shown() {
        assert_eq!(Timestamp::EPOCH.plus_millis(-1), Timestamp::EPOCH);
        assert_eq!(Timestamp::MAX.plus_millis(1), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.plus_millis(-1).as_millis(), Timestamp::MAX.as_millis() - 1);
        assert_eq!(Timestamp::EPOCH.plus_millis(1).as_millis(), 1);
        assert_eq!(Timestamp::EPOCH.plus_millis(i64::MIN), Timestamp::EPOCH);
    }

    #[test]
    fn only_the_notation_of_the_contract_is_a_time() {
        for good in ["2026-11-20T08:00:00Z", "2026-11-20 08:00:00.5+01:00", "2026-11-20t08:00:00.123456789z"] {
            assert!(is_rfc3339(good.as_bytes()), "{good}");
        }
        for bad in ["2026-11-20T08:00:00.Z", "2026-11-20T08:00:00+01", "2026-11-20T08:00:00+01:00x", "2026-11-20T08:00"]
        {
            assert!(!is_rfc3339(bad.as_bytes()), "{bad}");
        }
    }
}
