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

    /// The last millisecond of the year 9999, the latest time that RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799_999);

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

/// RFC 3339 in UTC with milliseconds: `2026-11-20T08:00:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => Err(fmt::Error),
        }
    }
}
