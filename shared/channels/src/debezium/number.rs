//! Numbers as connectors write them: as numbers or as text, whole numbers with a fraction of zero, times in whatever
//! unit the column has.

use evenstock_domain::{Quantity, Timestamp};
use serde_json::value::RawValue;

use crate::fields::{parse, text};

/// The earliest time that is believed, the year 2000, in milliseconds. Seconds taken for milliseconds lie before it.
const EARLIEST_MS: i64 = 946_684_800_000;

/// Digits of a time in milliseconds, microseconds and nanoseconds, from the year 2001 to the year 2286.
const MILLIS_DIGITS: usize = 13;
const MICROS_DIGITS: usize = 16;
const NANOS_DIGITS: usize = 19;

/// A number's digits, whether it is written as a number or as text.
fn digits(value: &RawValue) -> Result<String, String> {
    let raw = value.get();
    if raw.starts_with('"') { text(value) } else { Ok(raw.to_owned()) }
}

/// A whole number. A decimal column may write it with a fraction, which then must be zero.
fn whole(value: &RawValue) -> Result<i64, String> {
    let wrong = || "must be a whole number (decimals as text, decimal.handling.mode=string)".to_owned();
    let digits = digits(value).map_err(|_| wrong())?;
    let (units, fraction) = digits.split_once('.').unwrap_or((digits.as_str(), "0"));
    let plain = units.strip_prefix('-').unwrap_or(units);
    let is_whole = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit());
    if !is_whole || fraction.is_empty() || !fraction.bytes().all(|byte| byte == b'0') {
        return Err(wrong());
    }
    // Beyond 64 bits is beyond every range of ours too.
    let nearest = if units.starts_with('-') { i64::MIN } else { i64::MAX };
    Ok(units.parse().unwrap_or(nearest))
}

/// Units on the shelf.
pub(super) fn quantity(value: &RawValue) -> Result<Quantity, String> {
    Quantity::new(whole(value)?).map_err(|error| error.to_string())
}

/// Units on the shelf as they were, which may be anything that the column can hold.
pub(super) fn units_before(value: &RawValue) -> Result<i64, String> {
    whole(value)
}

/// A position in a log.
pub(super) fn position(value: &RawValue) -> Result<u64, String> {
    u64::try_from(whole(value)?).map_err(|_| "must not be negative".to_owned())
}

/// A time in milliseconds.
pub(super) fn millis(value: &RawValue) -> Result<Timestamp, String> {
    sane(whole(value)?)
}

/// A column's time: RFC 3339, or a number of milli-, micro- or nanoseconds, told apart by its length.
pub(super) fn column_time(value: &RawValue) -> Result<Timestamp, String> {
    let wrong = || "must be an RFC 3339 time, or milli-, micro- or nanoseconds".to_owned();
    if let Ok(written) = text(value)
        && let Ok(time) = Timestamp::parse(&written)
    {
        return Ok(time);
    }
    let number = whole(value).map_err(|_| wrong())?;
    let digits = number.to_string().len();
    let per_milli = if digits <= MILLIS_DIGITS {
        1
    } else if digits <= MICROS_DIGITS {
        1_000
    } else if digits <= NANOS_DIGITS {
        1_000_000
    } else {
        return Err(wrong());
    };
    sane(number.div_euclid(per_milli))
}

fn sane(millis: i64) -> Result<Timestamp, String> {
    if millis < EARLIEST_MS {
        return Err("must be milliseconds of a time after the year 2000".to_owned());
    }
    Timestamp::from_millis(millis).map_err(|error| error.to_string())
}

/// The number in the name of a binary log: `mysql-bin.000012` is 12.
pub(super) fn log_number(value: &RawValue) -> Result<u64, String> {
    let name: String = parse(value.get(), "a string")?;
    let number = name.rsplit('.').next().and_then(|number| number.parse().ok());
    number.ok_or_else(|| "must end with a dot and a number".to_owned())
}
