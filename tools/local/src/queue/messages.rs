//! The messages in `SQLite`: their table, and each operation on it as plain SQL inside the caller's transaction.
//!
//! A message is waiting when `visible_at <= now`, and in flight otherwise; a received message carries its current
//! receipt. Must not know of threads or callers.

use std::time::Duration;

use evenstock_app::Outgoing;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tracing::warn;

use super::QueueSettings;

/// The layout of the table below, kept in the file's `user_version`.
pub(super) const LAYOUT: i64 = 1;

/// How long another process that has the file open may keep us waiting.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS message (
        seq INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        id TEXT NOT NULL DEFAULT (lower(hex(randomblob(16)))),
        organization TEXT NOT NULL,
        body TEXT NOT NULL,
        sent_at INTEGER NOT NULL,
        visible_at INTEGER NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0,
        first_received_at INTEGER,
        receipt TEXT
    );
    CREATE INDEX IF NOT EXISTS message_by_visibility ON message (queue, visible_at);
    CREATE INDEX IF NOT EXISTS message_by_age ON message (queue, sent_at);";

/// A message as its receiver gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Names the message, the same at every receive.
    pub message_id: String,
    /// Stands for this receive: deletes or releases the message until it is received again.
    pub receipt_handle: String,
    /// The message.
    pub body: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// When it was sent, in milliseconds since the Unix epoch.
    pub sent_at_ms: i64,
    /// When it was received for the first time, in milliseconds since the Unix epoch.
    pub first_received_at_ms: i64,
    /// The tenant that it was sent for.
    pub organization: String,
    /// Where in a trace it was made.
    pub traceparent: Option<String>,
    /// What its trace's vendors say of it.
    pub tracestate: Option<String>,
}

/// Makes a connection durable and the table present. Returns the layout that the file has.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<i64> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // The write-ahead log; which commits wait for the disk is said with each of them. In memory there is no such log,
    // and SQLite leaves the mode as it is.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let layout = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if layout == 0 {
        connection.execute_batch(TABLE)?;
        connection.pragma_update(None, "user_version", LAYOUT)?;
    }
    // Later additions that an older version of this program does not mind.
    if [0, LAYOUT].contains(&layout) {
        super::dead::prepare(connection)?;
        add_columns(connection)?;
        return Ok(LAYOUT);
    }
    Ok(layout)
}

/// The trace came later than the table.
fn add_columns(connection: &Connection) -> rusqlite::Result<()> {
    for column in ["traceparent", "tracestate"] {
        if !connection.column_exists(None, "message", column)? {
            connection.execute_batch(&format!("ALTER TABLE message ADD COLUMN {column} TEXT"))?;
        }
    }
    Ok(())
}

pub(super) fn insert(connection: &Connection, queue: &str, messages: &[Outgoing], now_ms: i64) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO message (queue, organization, body, sent_at, visible_at, traceparent, tracestate)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for message in messages {
        let visible_at = now_ms.saturating_add(i64::from(message.delay_seconds) * 1000);
        let (traceparent, tracestate) = match &message.trace {
            Some(trace) => (Some(trace.traceparent()), trace.tracestate()),
            None => (None, None),
        };
        let organization = message.organization.as_str();
        insert.execute(params![queue, organization, message.body, now_ms, visible_at, traceparent, tracestate])?;
    }
    Ok(())
}

pub(super) fn receive(
    connection: &Connection,
    queue: &QueueSettings,
    max: usize,
    now_ms: i64,
) -> rusqlite::Result<Vec<Received>> {
    drop_expired(connection, queue, now_ms)?;
    let mut visible = connection.prepare_cached(
        "SELECT seq, receive_count FROM message WHERE queue = ?1 AND visible_at <= ?2
         ORDER BY visible_at, seq LIMIT ?3",
    )?;
    let mut received = Vec::new();
    while received.len() < max {
        let limit = i64::try_from(max - received.len()).unwrap_or(i64::MAX);
        let found = visible.query_map(params![queue.name, now_ms, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        // Collected before the first change: the changes move rows within the index that is read here.
        let found: Vec<(i64, u32)> = found.collect::<Result<_, _>>()?;
        if found.is_empty() {
            break;
        }
        for (seq, receive_count) in found {
            match &queue.redrive {
                Some(redrive) if receive_count >= redrive.receives_max => {
                    warn!(
                        queue = queue.name,
                        receive_count, "message failed too often, moved to {}", redrive.dead_letter
                    );
                    bury(connection, seq, &redrive.dead_letter, now_ms)?;
                }
                _ => received.push(take(connection, seq, queue, now_ms)?),
            }
        }
    }
    Ok(received)
}

fn take(connection: &Connection, seq: i64, queue: &QueueSettings, now_ms: i64) -> rusqlite::Result<Received> {
    // The receipt finds its row by `seq`; the random part makes every receive another one.
    let mut take = connection.prepare_cached(
        "UPDATE message SET visible_at = ?2, receive_count = receive_count + 1,
             first_received_at = COALESCE(first_received_at, ?3), receipt = seq || '-' || lower(hex(randomblob(12)))
         WHERE seq = ?1
         RETURNING id, receipt, body, receive_count, sent_at, first_received_at, organization,
             traceparent, tracestate",
    )?;
    // Never visible again within this very receive.
    let visible_at_ms = now_ms.saturating_add(queue.visibility_ms.max(1));
    take.query_row(params![seq, visible_at_ms, now_ms], read)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Received> {
    Ok(Received {
        message_id: row.get(0)?,
        receipt_handle: row.get(1)?,
        body: row.get(2)?,
        receive_count: row.get(3)?,
        sent_at_ms: row.get(4)?,
        first_received_at_ms: row.get(5)?,
        organization: row.get(6)?,
        traceparent: row.get(7)?,
        tracestate: row.get(8)?,
    })
}

/// Keeps the id and, as SQS does, the time of sending, from which the retention counts.
fn bury(connection: &Connection, seq: i64, dead_letter: &str, now_ms: i64) -> rusqlite::Result<()> {
    let mut bury = connection.prepare_cached(
        "UPDATE message SET queue = ?2, visible_at = ?3, receive_count = 0, first_received_at = NULL, receipt = NULL
         WHERE seq = ?1",
    )?;
    bury.execute(params![seq, dead_letter, now_ms]).map(|_| ())
}

pub(super) fn delete(connection: &Connection, queue: &str, receipts: &[String]) -> rusqlite::Result<usize> {
    let mut delete = connection.prepare_cached("DELETE FROM message WHERE seq = ?1 AND queue = ?2 AND receipt = ?3")?;
    let mut deleted = 0;
    for receipt in receipts {
        if let Some(seq) = seq_of(receipt) {
            deleted += delete.execute(params![seq, queue, receipt])?;
        }
    }
    Ok(deleted)
}

pub(super) fn show_at(
    connection: &Connection,
    queue: &str,
    receipts: &[String],
    visible_at_ms: i64,
) -> rusqlite::Result<usize> {
    let mut show = connection
        .prepare_cached("UPDATE message SET visible_at = ?4 WHERE seq = ?1 AND queue = ?2 AND receipt = ?3")?;
    let mut shown = 0;
    for receipt in receipts {
        if let Some(seq) = seq_of(receipt) {
            shown += show.execute(params![seq, queue, receipt, visible_at_ms])?;
        }
    }
    Ok(shown)
}

/// `None` for a text that we never gave out.
fn seq_of(receipt: &str) -> Option<i64> {
    receipt.split_once('-')?.0.parse().ok()
}

pub(super) fn show_all(connection: &Connection, now_ms: i64) -> rusqlite::Result<usize> {
    connection.execute("UPDATE message SET visible_at = ?1 WHERE visible_at > ?1 AND receipt IS NOT NULL", [now_ms])
}

/// Waiting messages, delayed ones among them, and those in flight.
pub(super) fn count(connection: &Connection, queue: &QueueSettings, now_ms: i64) -> rusqlite::Result<(u64, u64)> {
    drop_expired(connection, queue, now_ms)?;
    let mut waiting = connection
        .prepare_cached("SELECT COUNT(*) FROM message WHERE queue = ?1 AND (visible_at <= ?2 OR receipt IS NULL)")?;
    let mut in_flight = connection
        .prepare_cached("SELECT COUNT(*) FROM message WHERE queue = ?1 AND visible_at > ?2 AND receipt IS NOT NULL")?;
    let only = |row: &Row<'_>| row.get(0);
    Ok((waiting.query_row(params![queue.name, now_ms], only)?, in_flight.query_row(params![queue.name, now_ms], only)?))
}

pub(super) fn next_visible_at(
    connection: &Connection,
    queue: &QueueSettings,
    now_ms: i64,
) -> rusqlite::Result<Option<i64>> {
    drop_expired(connection, queue, now_ms)?;
    let mut next =
        connection.prepare_cached("SELECT visible_at FROM message WHERE queue = ?1 ORDER BY visible_at LIMIT 1")?;
    next.query_row([&queue.name], |row| row.get(0)).optional()
}

fn drop_expired(connection: &Connection, queue: &QueueSettings, now_ms: i64) -> rusqlite::Result<()> {
    let mut expired = connection.prepare_cached("DELETE FROM message WHERE queue = ?1 AND sent_at <= ?2")?;
    let dropped = expired.execute(params![queue.name, now_ms.saturating_sub(queue.retention_ms)])?;
    if dropped > 0 {
        warn!(queue = queue.name, dropped, "messages were kept as long as the queue keeps them, and dropped");
    }
    Ok(())
}
