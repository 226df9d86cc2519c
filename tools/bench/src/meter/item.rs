//! How large an item is, as DynamoDB counts it: names and values, without the overhead that only storage is billed for.

use serde_json::Value;

use super::units::Item;

/// Bytes of an item.
pub(super) fn item_bytes(item: &Item) -> u64 {
    item.iter().map(|(name, value)| length(name) + value_bytes(value)).sum()
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// Bytes of an attribute's value, such as `{"S": "shirt"}`.
fn value_bytes(value: &Value) -> u64 {
    let Some((kind, value)) = value.as_object().and_then(|typed| typed.iter().next()) else {
        return 0;
    };
    let text = |value: &Value, bytes: fn(&str) -> u64| value.as_str().map_or(0, bytes);
    let set = |bytes: fn(&str) -> u64| value.as_array().into_iter().flatten().map(|one| text(one, bytes)).sum();
    match kind.as_str() {
        "S" => text(value, length),
        "N" => text(value, number_bytes),
        "B" => text(value, binary_bytes),
        "SS" => set(length),
        "NS" => set(number_bytes),
        "BS" => set(binary_bytes),
        // Three bytes for the collection, and one for each of its members.
        "L" => 3 + value.as_array().into_iter().flatten().map(|one| 1 + value_bytes(one)).sum::<u64>(),
        "M" => {
            let members = value.as_object().into_iter().flatten();
            3 + members.map(|(name, one)| 1 + length(name) + value_bytes(one)).sum::<u64>()
        }
        // BOOL and NULL.
        _ => 1,
    }
}

/// One byte for two significant digits, one more, and one for a sign.
fn number_bytes(number: &str) -> u64 {
    let (sign, digits) = number.strip_prefix('-').map_or((0, number), |digits| (1, digits));
    let mantissa = digits.split(['e', 'E']).next().unwrap_or(digits);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    // Leading and trailing zeros are not significant; zero itself is one digit.
    length(digits.trim_matches('0')).div_ceil(2) + 1 + sign
}

/// Base64 stands for three bytes in four characters.
fn binary_bytes(base64: &str) -> u64 {
    length(base64.trim_end_matches('=')) * 3 / 4
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bytes(item: Value) -> u64 {
        item_bytes(item.as_object().unwrap())
    }

    #[test]
    fn names_count_as_well_as_values() {
        assert_eq!(bytes(json!({ "pk": { "S": "größe" } })), 2 + 7, "UTF-8, not characters");
        assert_eq!(bytes(json!({ "a": { "BOOL": true }, "b": { "NULL": true } })), 4);
        assert_eq!(bytes(json!({ "b": { "B": "AAECAw==" } })), 1 + 4);
    }

    #[test]
    fn numbers_take_half_a_byte_a_significant_digit_and_one_more() {
        for (number, expected) in [("7", 2), ("42", 2), ("123", 3), ("-5", 3), ("1700000000000", 2), ("0", 1)] {
            assert_eq!(number_bytes(number), expected, "{number}");
        }
        assert_eq!(number_bytes("1763665200123"), 8);
        assert_eq!(number_bytes("12.50"), 3);
    }

    #[test]
    fn collections_cost_three_bytes_and_one_for_each_member() {
        assert_eq!(bytes(json!({ "l": { "L": [] } })), 1 + 3);
        assert_eq!(bytes(json!({ "l": { "L": [{ "S": "ab" }, { "N": "1" }] } })), 1 + 3 + (1 + 2) + (1 + 2));
        assert_eq!(bytes(json!({ "m": { "M": { "k": { "S": "v" } } } })), 1 + 3 + 1 + 1 + 1);
        assert_eq!(bytes(json!({ "s": { "SS": ["ab", "c"] }, "n": { "NS": ["1", "22"] } })), 1 + 3 + 1 + 4);
        assert_eq!(bytes(json!({ "s": { "BS": ["AAAAAAAAAAA=", "AQ=="] } })), 1 + 8 + 1);
    }
}
