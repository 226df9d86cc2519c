//! What a call costs in DynamoDB's units, by the published rules. AWS does not say what a refused write consumed, and
//! emulators differ, so the meter computes it by itself.

use evenstock_local::template::{Keys, TableSettings};
use serde_json::{Map, Value};

use super::item::item_bytes;

/// An item as it stands in a request: each attribute with its type.
pub(crate) type Item = Map<String, Value>;

/// Bytes that one write unit covers.
const WRITE_BYTES: u64 = 1024;

/// Bytes that one read unit covers.
const READ_BYTES: u64 = 4096;

/// Capacity units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Units {
    /// Write units.
    pub(crate) writes: u64,
    /// Halves of read units: an eventually consistent read costs one.
    pub(crate) read_halves: u64,
}

impl Units {
    pub(crate) const fn writes(writes: u64) -> Self {
        Self { writes, read_halves: 0 }
    }

    pub(crate) const fn read_halves(read_halves: u64) -> Self {
        Self { writes: 0, read_halves }
    }
}

fn write_blocks(bytes: u64) -> u64 {
    bytes.div_ceil(WRITE_BYTES).max(1)
}

/// A write that was done: the larger of the item before and after it, and what it changes in the indexes.
pub(super) fn written(table: &TableSettings, before: Option<&Item>, after: Option<&Item>) -> u64 {
    let bytes = |item: Option<&Item>| item.map_or(0, item_bytes);
    let item = write_blocks(bytes(before).max(bytes(after)));
    item + table.indexes.iter().map(|index| indexed(table, &index.keys, before, after)).sum::<u64>()
}

/// A write whose condition was not met: the item that is there, or the one that should have been, whichever is larger.
pub(super) fn refused(standing: Option<&Item>, put: Option<&Item>) -> u64 {
    write_blocks([standing, put].into_iter().flatten().map(item_bytes).max().unwrap_or_default())
}

/// What a write changes in an index that carries keys only: nothing, an entry made or removed, or both.
fn indexed(table: &TableSettings, keys: &Keys, before: Option<&Item>, after: Option<&Item>) -> u64 {
    let entry = |item: Option<&Item>| item.and_then(|item| index_entry(table, keys, item));
    match (entry(before), entry(after)) {
        (None, None) => 0,
        (Some(one), None) | (None, Some(one)) => write_blocks(item_bytes(&one)),
        (Some(before), Some(after)) if before == after => 0,
        (Some(before), Some(after)) => write_blocks(item_bytes(&before)) + write_blocks(item_bytes(&after)),
    }
}

/// An item's entry in an index; `None` when it lacks one of the index's keys.
fn index_entry(table: &TableSettings, keys: &Keys, item: &Item) -> Option<Item> {
    let names = |keys: &Keys| {
        let keys = std::iter::once(&keys.hash).chain(&keys.range);
        keys.map(|key| key.name.clone()).collect::<Vec<_>>()
    };
    let all = names(keys).into_iter().chain(names(&table.keys));
    all.map(|name| item.get(&name).map(|value| (name, value.clone()))).collect()
}

/// A read that succeeded. `None` when its answer does not show all that was read.
pub(super) fn read(operation: &str, request: &Value, response: &Value) -> Option<Units> {
    let partial = ["ProjectionExpression", "FilterExpression", "Select"];
    if partial.iter().any(|name| request.get(name).is_some()) {
        return None;
    }
    match operation {
        "GetItem" => {
            let bytes = response.get("Item").and_then(Value::as_object).map_or(0, item_bytes);
            Some(read_blocks(bytes, request))
        }
        "Query" | "Scan" => {
            let items = response.get("Items").and_then(Value::as_array)?;
            Some(read_blocks(items.iter().filter_map(Value::as_object).map(item_bytes).sum(), request))
        }
        "BatchGetItem" => {
            // Each item is rounded up on its own, and one that is absent costs the least.
            let mut halves = 0;
            for (table, asked) in request.get("RequestItems").and_then(Value::as_object)? {
                let found = response.get("Responses").and_then(|tables| tables.get(table)).and_then(Value::as_array);
                let found = found.map(Vec::as_slice).unwrap_or_default();
                let absent = asked.get("Keys").and_then(Value::as_array)?.len().saturating_sub(found.len());
                let sizes = found.iter().filter_map(Value::as_object).map(item_bytes);
                let sizes = sizes.chain(std::iter::repeat_n(0, absent));
                halves += sizes.map(|bytes| read_blocks(bytes, asked).read_halves).sum::<u64>();
            }
            Some(Units::read_halves(halves))
        }
        _ => None,
    }
}

fn read_blocks(bytes: u64, request: &Value) -> Units {
    let consistent = request.get("ConsistentRead").and_then(Value::as_bool).unwrap_or_default();
    Units::read_halves(bytes.div_ceil(READ_BYTES).max(1) * if consistent { 2 } else { 1 })
}

/// What the emulator says that a call consumed.
pub(super) fn stated(response: &Value, writes: bool) -> Option<Units> {
    let stated = response.get("ConsumedCapacity")?;
    let each = stated.as_array().map_or_else(|| std::slice::from_ref(stated), Vec::as_slice);
    let halves = each.iter().map(|one| one.get("CapacityUnits").and_then(halves)).sum::<Option<u64>>()?;
    Some(if writes { Units::writes(halves / 2) } else { Units::read_halves(halves) })
}

/// A number such as `1.5`, in halves.
fn halves(number: &Value) -> Option<u64> {
    let text = number.as_number()?.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    Some(whole.parse::<u64>().ok()? * 2 + u64::from(fraction.starts_with('5')))
}

#[cfg(test)]
mod tests {
    use evenstock_local::template::Template;
    use serde_json::json;

    use super::*;

    fn item(value: &Value) -> Item {
        value.as_object().unwrap().clone()
    }

    fn sized(bytes: usize, more: &Value) -> Item {
        let mut item = item(&json!({ "pk": { "S": "p" }, "sk": { "S": "s" } }));
        item.extend(more.as_object().unwrap().clone());
        let rest = bytes - usize::try_from(item_bytes(&item)).unwrap() - 1;
        item.insert("f".to_owned(), json!({ "S": "x".repeat(rest) }));
        item
    }

    fn cost(before: Option<&Item>, after: Option<&Item>) -> u64 {
        written(&Template::built_in().unwrap().table, before, after)
    }

    #[test]
    fn write_costs_the_larger_of_before_and_after_by_the_kilobyte() {
        let none = json!({});
        let (small, just, more) = (sized(100, &none), sized(1024, &none), sized(1025, &none));
        assert_eq!((cost(None, Some(&small)), cost(None, Some(&just)), cost(None, Some(&more))), (1, 1, 2));
        assert_eq!((cost(Some(&more), Some(&small)), cost(Some(&more), None), cost(None, None)), (2, 2, 1));
    }

    #[test]
    fn refused_write_costs_what_stands_there_and_one_unit_for_nothing() {
        let large = sized(3000, &json!({}));
        assert_eq!((refused(Some(&large), None), refused(None, None), refused(None, Some(&large))), (3, 1, 3));
    }

    #[test]
    fn index_is_paid_for_when_its_keys_change() {
        let due = |at: &str| sized(100, &json!({ "d": { "S": "callback#1" }, "dt": { "N": at } }));
        let (absent, early, late) = (sized(100, &json!({})), due("1"), due("2"));
        assert_eq!(cost(None, Some(&early)), 2, "the item and its entry");
        assert_eq!(cost(Some(&early), Some(&early)), 1, "no key has changed");
        assert_eq!(cost(Some(&early), Some(&late)), 3, "an entry goes and one comes");
        assert_eq!((cost(Some(&late), Some(&absent)), cost(Some(&absent), Some(&absent))), (2, 1));
        let half = sized(100, &json!({ "d": { "S": "callback#1" } }));
        assert_eq!(cost(None, Some(&half)), 1, "an item without all of an index's keys is not in it");
    }

    #[test]
    fn reads_cost_by_four_kilobytes_and_half_when_they_may_be_stale() {
        let got = |bytes: usize, consistent: bool| {
            let request = json!({ "ConsistentRead": consistent });
            read("GetItem", &request, &json!({ "Item": sized(bytes, &json!({})) })).unwrap().read_halves
        };
        assert_eq!((got(100, true), got(4096, true), got(4097, true), got(4097, false)), (2, 2, 4, 2));
        assert_eq!(read("GetItem", &json!({}), &json!({})), Some(Units::read_halves(1)), "absent");
    }

    #[test]
    fn query_rounds_its_sum_and_a_batch_each_item() {
        let items: Vec<_> = (0..10).map(|_| sized(500, &json!({}))).collect();
        let query = read("Query", &json!({ "ConsistentRead": true }), &json!({ "Items": items }));
        assert_eq!(query, Some(Units::read_halves(4)), "5000 bytes");
        let keys = vec![json!({}); 12];
        let asked = json!({ "RequestItems": { "T": { "Keys": keys, "ConsistentRead": true } } });
        let batch = read("BatchGetItem", &asked, &json!({ "Responses": { "T": items } }));
        assert_eq!(batch, Some(Units::read_halves(24)), "ten items and two that are absent");
        let counted = json!({ "Select": "COUNT" });
        assert_eq!(read("Query", &counted, &json!({ "Count": 3 })), None, "the answer does not show what was read");
    }

    #[test]
    fn emulators_statement_is_read_in_halves() {
        let stated = |capacity: Value, writes| stated(&json!({ "ConsumedCapacity": capacity }), writes);
        assert_eq!(stated(json!({ "CapacityUnits": 1.5 }), false), Some(Units::read_halves(3)));
        assert_eq!(stated(json!([{ "CapacityUnits": 2.0 }, { "CapacityUnits": 1 }]), true), Some(Units::writes(3)));
        assert_eq!(super::stated(&json!({}), true), None);
    }
}
