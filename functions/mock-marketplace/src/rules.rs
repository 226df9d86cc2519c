//! What the mock says of a receipt. Pure: the same receipt always gets the same answer.

use serde_json::Number;
use sha2::{Digest, Sha256};

use crate::wire::OrderedLine;

/// The rate is limited when this divides the sum of a receipt's last two digits.
const RATE_LIMIT_DIVISOR: u32 = 6;

/// Lines of a receipt that asks for lines and does not say how many.
const LINES_DEFAULT: u32 = 1;

/// The location that some lines name.
const LOCATION: &str = "main";

/// What becomes of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    RateLimited,
    Accepted,
    Refused,
}

/// The last two characters being digits whose sum 6 divides comes first, then an odd last digit.
pub(crate) fn verdict(receipt: &str) -> Verdict {
    let mut digits = receipt.chars().rev().map(|character| character.to_digit(10));
    let (last, before) = (digits.next().flatten(), digits.next().flatten());
    match (before, last) {
        (Some(before), Some(last)) if (before + last) % RATE_LIMIT_DIVISOR == 0 => Verdict::RateLimited,
        (_, Some(last)) if last % 2 == 1 => Verdict::Accepted,
        _ => Verdict::Refused,
    }
}

/// The marketplace's id of an accepted order.
pub(crate) fn order_id(marketplace: &str, receipt: &str) -> String {
    let digest = digest(marketplace, receipt);
    let (id, _) = digest.split_at(8);
    format!("{marketplace}-{}", hex::encode(id))
}

/// What the buyer paid: 1.00 to 999.99.
pub(crate) fn amount(marketplace: &str, receipt: &str) -> Option<Number> {
    let [a, b, c, d, ..] = digest(marketplace, receipt);
    let cents = 100 + u32::from_be_bytes([a, b, c, d]) % 99_900;
    // Written as a decimal and not divided: 12345 cents are 123.45 and nothing else.
    format!("{}.{:02}", cents / 100, cents % 100).parse().ok()
}

/// The lines of a receipt with `-L` in it, then how many as one digit (`order-L3-101` has three; 1 without a digit).
/// Line n is n units of `SKU-n`; every second line names a location.
pub(crate) fn lines(receipt: &str) -> Option<Vec<OrderedLine>> {
    let (_, rest) = receipt.split_once("-L")?;
    let count = rest.chars().next().and_then(|digit| digit.to_digit(10)).filter(|count| *count > 0);
    let location = |n: u32| n.is_multiple_of(2).then_some(LOCATION);
    let line = |n| OrderedLine { sku: format!("SKU-{n}"), quantity: n, location_id: location(n) };
    Some((1..=count.unwrap_or(LINES_DEFAULT)).map(line).collect())
}

/// Whether the order of a receipt was called off.
pub(crate) fn is_cancelled(receipt: &str) -> bool {
    receipt.contains("-X")
}

fn digest(marketplace: &str, receipt: &str) -> [u8; 32] {
    Sha256::new().chain_update(marketplace).chain_update([0]).chain_update(receipt).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limit_comes_first_and_needs_two_digits() {
        for receipt in ["test24", "RL15", "RL51", "x00", "order-66", "a17", "99933", "order-L2-06"] {
            let sum: u32 = receipt.chars().rev().take(2).map(|digit| digit.to_digit(10).unwrap()).sum();
            let expected = if sum.is_multiple_of(6) { Verdict::RateLimited } else { Verdict::Accepted };
            assert_eq!(verdict(receipt), expected, "{receipt}");
        }
        for receipt in ["0", "6", "a0", "a6", "a 6"] {
            assert_eq!(verdict(receipt), Verdict::Refused, "{receipt}: one digit limits nothing");
        }
    }

    #[test]
    fn odd_last_digit_is_accepted_and_all_else_refused() {
        for receipt in ["test1", "order-101", "3", "x7", "order-L2-101", "1x9", "order-115x5"] {
            assert_eq!(verdict(receipt), Verdict::Accepted, "{receipt}");
        }
        for receipt in ["test2", "order-102", "order", "", "x", "🦀", "9x", "test\u{0663}"] {
            assert_eq!(verdict(receipt), Verdict::Refused, "{receipt}");
        }
    }

    #[test]
    fn every_pair_of_digits_has_one_verdict() {
        for before in 0..10 {
            for last in 0..10 {
                let expected = match (before + last, last % 2) {
                    (0 | 6 | 12 | 18, _) => Verdict::RateLimited,
                    (_, 1) => Verdict::Accepted,
                    _ => Verdict::Refused,
                };
                assert_eq!(verdict(&format!("r{before}{last}")), expected);
            }
        }
    }

    #[test]
    fn amounts_have_at_most_two_decimals_and_differ_between_marketplaces() {
        for n in 0..500 {
            let text = amount("etsy", &format!("order-{n}")).unwrap().to_string();
            let (whole, cents) = text.split_once('.').unwrap_or((&text, "0"));
            assert!((1..=999).contains(&whole.parse::<u32>().unwrap()) && cents.len() <= 2, "{text}");
        }
        assert_eq!(amount("etsy", "order-1"), amount("etsy", "order-1"));
        assert_ne!(amount("etsy", "order-1"), amount("amazon", "order-1"));
        assert_ne!(order_id("etsy", "order-1"), order_id("etsy", "order-3"));
    }

    #[test]
    fn lines_are_as_many_as_the_receipt_says() {
        let line = |n, location_id| OrderedLine { sku: format!("SKU-{n}"), quantity: n, location_id };
        assert_eq!(lines("order-101"), None);
        for receipt in ["order-L", "order-L-101", "order-L0-101", "order-Lx1"] {
            assert_eq!(lines(receipt), Some(vec![line(1, None)]), "{receipt}");
        }
        let expected = vec![line(1, None), line(2, Some("main")), line(3, None)];
        assert_eq!(lines("order-L3-X-101"), Some(expected));
        assert!(is_cancelled("order-L3-X-101") && !is_cancelled("order-101"));
    }
}
