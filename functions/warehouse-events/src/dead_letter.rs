//! Dead letters: a record with the reason, the number of its deaths and their times. One that is sent back to the queue
//! is read like any other message.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evenstock_app::{Outgoing, QueueError};
use evenstock_domain::{OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::record::{Origin, Record};

/// Bytes of a record that a letter carries: with its escapes and the rest it fits a message of 256 KiB.
const RECORD_BYTES_MAX: usize = 96 * 1024;

/// The group of letters whose organization is not known.
const UNKNOWN: &str = "unknown";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Letter {
    dead_letter: Death,
    /// The record, when it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    /// The record, when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record_base64: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Death {
    reason: String,
    attempts: u32,
    first_at: String,
    last_at: String,
    #[serde(flatten)]
    origin: Origin,
    /// Bytes of the record, when the letter carries only the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut_from: Option<usize>,
}

/// The letter about a record that cannot be applied.
///
/// # Errors
/// None that a record can cause; `serde_json` has no infallible form.
pub(crate) fn write(record: &Record, reason: &str, now: Timestamp) -> Result<Outgoing, QueueError> {
    let kept = record.value.get(..RECORD_BYTES_MAX).unwrap_or(&record.value);
    let text = str::from_utf8(kept).ok().map(str::to_owned);
    let letter = Letter {
        dead_letter: Death {
            reason: reason.to_owned(),
            attempts: record.deaths.saturating_add(1),
            first_at: record.first_at.unwrap_or(now).to_string(),
            last_at: now.to_string(),
            origin: record.origin.clone(),
            cut_from: (kept.len() < record.value.len()).then_some(record.value.len()),
        },
        record_base64: if text.is_none() { Some(STANDARD.encode(kept)) } else { None },
        record: text,
    };
    let body = serde_json::to_string(&letter).map_err(|error| QueueError(Box::new(error)))?;
    let organization = OrganizationId::parse(UNKNOWN).map_err(|error| QueueError(Box::new(error)))?;
    Ok(Outgoing::now(body, organization))
}

/// Reads a letter that came back; `None` for every other message.
pub(crate) fn read(body: &str) -> Option<Record> {
    let Letter { dead_letter, record, record_base64 } = serde_json::from_str(body).ok()?;
    let value = match (record, record_base64) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(encoded)) => STANDARD.decode(encoded).ok()?,
        (None, None) => return None,
    };
    Some(Record {
        deaths: dead_letter.attempts,
        first_at: Timestamp::parse(&dead_letter.first_at).ok(),
        broken: dead_letter.cut_from.map(|_| "record: was too long for a dead letter and is not whole"),
        ..Record::new(dead_letter.origin, value)
    })
}
