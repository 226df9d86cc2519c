//! The envelope `{before, after, op, ts_ms, source: {ts_ms, lsn | file, pos | scn}}`, bare or as the `payload` beside a
//! `schema`, around rows `{sku, warehouse_id, quantity, updated_at}`.

use evenstock_app::WarehouseCount;
use evenstock_domain::{LocationId, Quantity, Sku, Timestamp};
use serde_json::value::RawValue;

use super::number::{column_time, log_number, millis, position, quantity, units_before};
use crate::fields::{Fields, parse, sku, text};
use crate::{FieldIssue, InvalidPayload};

/// Bits for the position within a binary log; the log's number stands above them.
const POSITION_BITS: u32 = 40;

/// What an envelope says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Envelope {
    /// Nothing: the marker behind a deletion, which exists for the topic's sake.
    Tombstone,
    /// The rows that it changes: one, or two when a row moves to another product or warehouse.
    Counts(Vec<WarehouseCount>),
}

/// What happened to the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// It came, or a snapshot met it.
    Insert,
    Update,
    Delete,
}

/// When it happened.
#[derive(Debug, Clone, Copy)]
struct Moment {
    time: Timestamp,
    position: Option<u64>,
}

/// Reads a change. Unknown fields are left alone.
///
/// # Errors
/// [`InvalidPayload`] naming every field that is wrong.
pub fn adapt(value: &[u8]) -> Result<Envelope, InvalidPayload> {
    let json = str::from_utf8(value).map_err(|_| body("must be UTF-8".to_owned()))?;
    if matches!(json.trim(), "" | "null") {
        return Ok(Envelope::Tombstone);
    }
    let wrapper = Fields::parse(json).map_err(body)?;
    let Some(payload) = wrapper.wrapped() else {
        return read(wrapper);
    };
    if payload.get() == "null" {
        return Ok(Envelope::Tombstone);
    }
    let inner = Fields::parse(payload.get()).map_err(|issue| invalid("payload", issue))?;
    read(inner)
}

fn read(mut envelope: Fields<'_>) -> Result<Envelope, InvalidPayload> {
    let operation = envelope.required("op", operation);
    let source = envelope.optional("source", Ok).flatten();
    let sent_at = envelope.optional("ts_ms", millis).flatten();
    let before = envelope.optional("before", Ok).flatten();
    let after = envelope.optional("after", Ok).flatten();
    let mut issues = envelope.into_issues();

    let (changed_at, position) = source.map_or((None, None), |source| read_source(source, &mut issues));
    let old = before.map(|row| Row::read("before", row, &mut issues));
    let new = after.filter(|_| operation != Some(Operation::Delete)).map(|row| Row::read("after", row, &mut issues));
    let row_time = new.as_ref().and_then(|row| row.updated_at.clone());
    let time = changed_at.or(sent_at).or_else(|| match row_time? {
        Ok(time) => Some(time),
        Err(issue) => {
            issues.push(FieldIssue { field: "after.updated_at".to_owned(), issue });
            None
        }
    });
    if time.is_none() && issues.is_empty() {
        issues.push(FieldIssue { field: "source.ts_ms".to_owned(), issue: "is required, or ts_ms".to_owned() });
    }
    let (Some(operation), Some(time)) = (operation, time) else {
        return Err(InvalidPayload { issues });
    };
    let counts = counts(operation, old, new, Moment { time, position }, &mut issues);
    if issues.is_empty() { Ok(Envelope::Counts(counts)) } else { Err(InvalidPayload { issues }) }
}

fn counts(
    operation: Operation,
    old: Option<Row>,
    new: Option<Row>,
    moment: Moment,
    issues: &mut Vec<FieldIssue>,
) -> Vec<WarehouseCount> {
    if operation == Operation::Delete {
        let Some(old) = old else {
            issues.push(missing("before"));
            return Vec::new();
        };
        return old.place("before", issues).map(|place| vec![gone(place, old.units, moment)]).unwrap_or_default();
    }
    let Some(new) = new else {
        issues.push(missing("after"));
        return Vec::new();
    };
    let place = new.place("after", issues);
    let stock = new.quantity("after", issues);
    let (Some((sku, warehouse)), Some(quantity)) = (place, stock) else {
        return Vec::new();
    };
    // A row whose old image is not whole (a replica identity of the key alone) says nothing about what was before.
    let old = old.filter(|_| operation == Operation::Update);
    let moved_from = old.as_ref().and_then(|old| Some((old.sku.clone()?.ok()?, old.warehouse.clone()?.ok()?)));
    let moved_from = moved_from.filter(|place| *place != (sku.clone(), warehouse.clone()));
    let units = old.and_then(|old| old.units);
    let before = if moved_from.is_some() { None } else { units };
    let Moment { time, position } = moment;
    let count = WarehouseCount { sku, warehouse, quantity, before, time, position };
    moved_from.map(|place| gone(place, units, moment)).into_iter().chain([count]).collect()
}

/// A row that is there no more: nothing lies there, and the level keeps its version.
fn gone((sku, warehouse): (Sku, LocationId), before: Option<i64>, Moment { time, position }: Moment) -> WarehouseCount {
    WarehouseCount { sku, warehouse, quantity: Quantity::default(), before, time, position }
}

/// A row's image, each column as far as it is there.
struct Row {
    sku: Option<Result<Sku, String>>,
    warehouse: Option<Result<LocationId, String>>,
    quantity: Option<Result<Quantity, String>>,
    units: Option<i64>,
    updated_at: Option<Result<Timestamp, String>>,
}

impl Row {
    fn read(name: &str, row: &RawValue, issues: &mut Vec<FieldIssue>) -> Self {
        let mut fields = match Fields::parse(row.get()) {
            Ok(fields) => fields,
            Err(issue) => {
                issues.push(FieldIssue { field: name.to_owned(), issue });
                return Self { sku: None, warehouse: None, quantity: None, units: None, updated_at: None };
            }
        };
        let read = Self {
            sku: fields.optional("sku", |value| Ok(sku(value))).flatten(),
            warehouse: fields.optional("warehouse_id", |value| Ok(warehouse(value))).flatten(),
            quantity: fields.optional("quantity", |value| Ok(quantity(value))).flatten(),
            units: fields.optional("quantity", |value| Ok(units_before(value).ok())).flatten().flatten(),
            updated_at: fields.optional("updated_at", |value| Ok(column_time(value))).flatten(),
        };
        issues.extend(within(name, fields.into_issues()));
        read
    }

    fn place(&self, name: &str, issues: &mut Vec<FieldIssue>) -> Option<(Sku, LocationId)> {
        let sku = needed(name, "sku", self.sku.as_ref(), issues);
        let warehouse = needed(name, "warehouse_id", self.warehouse.as_ref(), issues);
        sku.zip(warehouse)
    }

    fn quantity(&self, name: &str, issues: &mut Vec<FieldIssue>) -> Option<Quantity> {
        needed(name, "quantity", self.quantity.as_ref(), issues)
    }
}

fn needed<T: Clone>(
    row: &str,
    column: &str,
    value: Option<&Result<T, String>>,
    issues: &mut Vec<FieldIssue>,
) -> Option<T> {
    let issue = match value {
        Some(Ok(value)) => return Some(value.clone()),
        Some(Err(issue)) => issue.clone(),
        None => "is required".to_owned(),
    };
    issues.push(FieldIssue { field: format!("{row}.{column}"), issue });
    None
}

/// The time and the position of a change. Sources have one of three positions: a log sequence number, a binary log with
/// a place in it, a system change number.
fn read_source(source: &RawValue, issues: &mut Vec<FieldIssue>) -> (Option<Timestamp>, Option<u64>) {
    let mut fields = match Fields::parse(source.get()) {
        Ok(fields) => fields,
        Err(issue) => {
            issues.push(FieldIssue { field: "source".to_owned(), issue });
            return (None, None);
        }
    };
    let time = fields.optional("ts_ms", millis).flatten();
    let lsn = fields.optional("lsn", position).flatten();
    let within_log = fields.optional("pos", position).flatten();
    let log = if within_log.is_some() { fields.optional("file", log_number).flatten() } else { None };
    let scn = fields.optional("scn", position).flatten();
    issues.extend(within("source", fields.into_issues()));
    let in_log = within_log.map(|place| (log.unwrap_or_default() << POSITION_BITS) | place);
    (time, lsn.or(in_log).or(scn))
}

fn operation(value: &RawValue) -> Result<Operation, String> {
    match text(value)?.as_str() {
        "c" | "r" => Ok(Operation::Insert),
        "u" => Ok(Operation::Update),
        "d" => Ok(Operation::Delete),
        _ => Err("must be c, u, d or r".to_owned()),
    }
}

/// Warehouses are often numbered.
fn warehouse(value: &RawValue) -> Result<LocationId, String> {
    let name = if value.get().starts_with('"') {
        text(value)?
    } else {
        parse::<u64>(value.get(), "a string or a number").map(|number| number.to_string())?
    };
    LocationId::parse(&name).map_err(|error| error.to_string())
}

fn within(object: &str, issues: Vec<FieldIssue>) -> impl Iterator<Item = FieldIssue> {
    issues.into_iter().map(move |issue| FieldIssue { field: format!("{object}.{}", issue.field), ..issue })
}

fn missing(field: &str) -> FieldIssue {
    FieldIssue { field: field.to_owned(), issue: "is required".to_owned() }
}

fn invalid(field: &str, issue: String) -> InvalidPayload {
    InvalidPayload { issues: vec![FieldIssue { field: field.to_owned(), issue }] }
}

fn body(issue: String) -> InvalidPayload {
    invalid("body", issue)
}
