//! JSON made worse: fields dropped, doubled and of other types, numbers and texts out of all bounds, depth without end,
//! and bytes that are not JSON at all.

use core::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

/// A body on its way in. Shown up to a bound, for it may be long.
#[derive(Clone)]
pub(crate) struct Hostile(pub(crate) Vec<u8>);

impl fmt::Debug for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.text().chars().take(1500).collect();
        write!(f, "{} bytes: {shown}", self.0.len())
    }
}

impl Hostile {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

/// What is done to one place of a sample.
#[derive(Debug, Clone)]
enum Edit {
    Drop,
    /// The field stands twice, the second time with this raw text.
    Twice(String),
    /// This raw text in place of the value.
    Put(String),
}

/// Texts that may stand where a value stands; not all of them are JSON.
fn raw() -> impl Strategy<Value = String> {
    let fixed = select(vec![
        "null",
        "true",
        "0",
        "-0",
        "-1",
        "0.5",
        "1.0",
        "1e3",
        "1e999",
        "-1e-999",
        "2147483647",
        "2147483648",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "123456789012345678901234567890123456789012345678901234567890",
        "\"\"",
        "\" \"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\ud83e\\udd80\"",
        "\"a\\nb\"",
        "\"#\"",
        "\"..\"",
        "\"%2F\"",
        "{}",
        "[]",
        "[{}]",
        "{\"a\":1,\"a\":2}",
        "NaN",
        "Infinity",
        "'a'",
        "",
        "\"",
        "/*",
        "01",
        "+1",
        "[",
        "}",
        "\"2026-01-01T00:00:00Z\"",
        "\"9999-12-31T23:59:59.999Z\"",
        "\"0000-00-00T00:00:00Z\"",
        "\"2026-11-20T08:00:00+99:99\"",
        "\"http://[::1]:1/\"",
        "\"https://user@169.254.169.254/\"",
    ]);
    prop_oneof![
        8 => fixed.prop_map(str::to_owned),
        2 => any::<i64>().prop_map(|number| number.to_string()),
        1 => any::<f64>().prop_map(|number| number.to_string()),
        2 => any::<String>().prop_map(|text| Value::from(text).to_string()),
        1 => (1_usize..4000).prop_map(|length| Value::from("x".repeat(length)).to_string()),
        1 => (1_usize..4000).prop_map(|depth| "[".repeat(depth) + &"]".repeat(depth)),
        1 => (1_usize..2000).prop_map(|depth| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth)),
        1 => (1_usize..4000).prop_map(|depth| "[".repeat(depth)),
        1 => (1_usize..600).prop_map(|length| format!("[{}1]", "1,".repeat(length))),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![2 => Just(Edit::Drop), 2 => raw().prop_map(Edit::Twice), 6 => raw().prop_map(Edit::Put)]
}

/// A sample with up to four places made worse, and now and then some of its bytes; sometimes only bytes.
pub(crate) fn worse(samples: Vec<Value>) -> impl Strategy<Value = Hostile> {
    let edited = (select(samples), vec((any::<Index>(), edit()), 0..4));
    let edited = edited.prop_map(|(sample, edits)| written(sample, &edits)).boxed();
    let bytes = vec((any::<Index>(), any::<u8>()), 1..4);
    prop_oneof![
        12 => edited.clone().prop_map(String::into_bytes),
        3 => (edited, bytes).prop_map(|(text, edits)| {
            let mut body = text.into_bytes();
            for (place, byte) in edits {
                if !body.is_empty() {
                    let place = place.index(body.len());
                    body[place] = byte;
                }
            }
            body
        }),
        1 => vec(any::<u8>(), 0..200),
        1 => raw().prop_map(String::into_bytes),
    ]
    .prop_map(Hostile)
}

/// The text of a sample after its edits. Each edited place first holds a mark, which then gives way to raw text.
fn written(mut sample: Value, edits: &[(Index, Edit)]) -> String {
    let mut marks = Vec::new();
    for (place, edit) in edits {
        let places = places(&sample);
        let place = places[place.index(places.len())].clone();
        let mark = format!("@@{}@@", marks.len());
        let raw = match edit {
            Edit::Drop => {
                drop_place(&mut sample, &place);
                continue;
            }
            Edit::Put(raw) => raw.clone(),
            Edit::Twice(raw) => {
                let value = sample.pointer(&place).unwrap().to_string();
                match place.rsplit('/').next().filter(|_| !place.is_empty()) {
                    Some(name) => format!("{value},{}:{raw}", Value::from(name)),
                    None => format!("{value}{raw}"),
                }
            }
        };
        *sample.pointer_mut(&place).unwrap() = Value::from(mark.clone());
        marks.push((Value::from(mark).to_string(), raw));
    }
    // A later edit may hold the mark of an earlier one.
    marks.into_iter().rev().fold(sample.to_string(), |text, (mark, raw)| text.replace(&mark, &raw))
}

/// Pointers to every value of a sample, the whole first.
fn places(sample: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut next = 0;
    while let Some(place) = found.get(next).cloned() {
        next += 1;
        match sample.pointer(&place) {
            Some(Value::Object(fields)) => {
                let name = |name: &String| format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
                found.extend(fields.keys().map(name));
            }
            Some(Value::Array(items)) => found.extend((0..items.len()).map(|n| format!("{place}/{n}"))),
            _ => {}
        }
    }
    found
}

fn drop_place(sample: &mut Value, place: &str) {
    let Some((parent, name)) = place.rsplit_once('/') else {
        *sample = Value::Null;
        return;
    };
    match sample.pointer_mut(parent).unwrap() {
        Value::Object(fields) => drop(fields.remove(&name.replace("~1", "/").replace("~0", "~"))),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        _ => {}
    }
}
