//! How long an answer asks us to wait: the `Retry-After` header in both of its forms.

use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// The longest wait that another side can impose on us, in seconds: a day.
const WAIT_SECONDS_MAX: u32 = 24 * 60 * 60;

/// The wait in seconds; `None` when the answer names none that can be read.
///
/// A date counts from the answer's own `Date`: both were written by one clock, and we need none.
pub(crate) fn retry_after_seconds(headers: &HeaderMap) -> Option<u32> {
    let wait = text(headers, &RETRY_AFTER)?;
    if !wait.is_empty() && wait.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits beyond the range still ask for a long wait.
        return Some(wait.parse().unwrap_or(WAIT_SECONDS_MAX).min(WAIT_SECONDS_MAX));
    }
    let seconds = http_date(wait)?.saturating_sub(http_date(text(headers, &DATE)?)?).max(0);
    Some(u32::try_from(seconds).unwrap_or(WAIT_SECONDS_MAX).min(WAIT_SECONDS_MAX))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Unix seconds of a date such as `Fri, 20 Nov 2026 08:00:00 GMT`.
fn http_date(text: &str) -> Option<i64> {
    rfc2822::parse(text).ok().map(|date| date.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;
    use rstest::rstest;

    use super::*;

    const SENT: &str = "Fri, 20 Nov 2026 08:00:00 GMT";

    #[rstest]
    #[case::seconds("30", Some(30))]
    #[case::zero("0", Some(0))]
    #[case::padded(" 30 ", Some(30))]
    #[case::bounded_to_a_day("86401", Some(86_400))]
    #[case::beyond_every_integer("99999999999999999999999", Some(86_400))]
    #[case::date("Fri, 20 Nov 2026 08:01:30 GMT", Some(90))]
    #[case::date_in_the_past("Fri, 20 Nov 2026 07:00:00 GMT", Some(0))]
    #[case::date_bounded_to_a_day("Fri, 20 Nov 2099 08:00:00 GMT", Some(86_400))]
    #[case::negative("-5", None)]
    #[case::fraction("1.5", None)]
    #[case::words("soon", None)]
    #[case::empty("", None)]
    fn wait_is_read_from_either_form(#[case] wait: &'static str, #[case] expected: Option<u32>) {
        let headers = HeaderMap::from_iter([
            (RETRY_AFTER, HeaderValue::from_static(wait)),
            (DATE, HeaderValue::from_static(SENT)),
        ]);
        assert_eq!(retry_after_seconds(&headers), expected);
    }

    #[test]
    fn date_without_a_date_to_count_from_is_no_wait() {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(SENT))]);
        assert_eq!(retry_after_seconds(&headers), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_no_wait() {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_bytes(b"\xff\xfe").unwrap())]);
        assert_eq!(retry_after_seconds(&headers), None);
    }
}
