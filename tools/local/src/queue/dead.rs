//! Why messages fail, and what can be done about those that died: plain SQL inside the caller's transaction.
//!
//! A failure stands beside its message, under the message's own number, and goes when the message goes.

use rusqlite::{Connection, OptionalExtension, Row, params};

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS failure (
        seq INTEGER PRIMARY KEY,
        attempts INTEGER NOT NULL,
        first_at INTEGER NOT NULL,
        last_at INTEGER NOT NULL,
        reason TEXT NOT NULL
    );
    CREATE TRIGGER IF NOT EXISTS failure_goes_with_its_message AFTER DELETE ON message
    BEGIN DELETE FROM failure WHERE seq = old.seq; END;";

const SELECT: &str = "
    SELECT message.id, organization, body, sent_at, attempts, first_at, last_at, reason
    FROM message LEFT JOIN failure USING (seq) WHERE queue = ?1";

/// A message that failed too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Names the message.
    pub message_id: String,
    /// The tenant that it was sent for.
    pub organization: String,
    /// The message.
    pub body: String,
    /// When it was sent, in milliseconds since the Unix epoch.
    pub sent_at_ms: i64,
    /// Why it died; `None` when whoever received it never answered.
    pub failure: Option<Failure>,
}

/// What is known of a message's failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How often it failed.
    pub attempts: u32,
    /// When it failed first, in milliseconds since the Unix epoch.
    pub first_at_ms: i64,
    /// When it failed last.
    pub last_at_ms: i64,
    /// Why it failed last.
    pub reason: String,
}

pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(TABLE)
}

/// Keeps why a message failed, if the receipt is still its own.
pub(super) fn note(
    connection: &Connection,
    queue: &str,
    receipt: &str,
    reason: &str,
    now_ms: i64,
) -> rusqlite::Result<usize> {
    let mut note = connection.prepare_cached(
        "INSERT INTO failure (seq, attempts, first_at, last_at, reason)
         SELECT seq, 1, ?4, ?4, ?3 FROM message WHERE queue = ?1 AND receipt = ?2
         ON CONFLICT (seq) DO UPDATE SET attempts = attempts + 1, last_at = excluded.last_at, reason = excluded.reason",
    )?;
    note.execute(params![queue, receipt, reason, now_ms])
}

/// The messages of a queue, the oldest first.
pub(super) fn list(connection: &Connection, queue: &str, limit: u32) -> rusqlite::Result<Vec<DeadLetter>> {
    let mut list = connection.prepare_cached(&format!("{SELECT} ORDER BY message.seq LIMIT ?2"))?;
    list.query_map(params![queue, limit], read)?.collect()
}

pub(super) fn one(connection: &Connection, queue: &str, message_id: &str) -> rusqlite::Result<Option<DeadLetter>> {
    let mut one = connection.prepare_cached(&format!("{SELECT} AND message.id = ?2"))?;
    one.query_row(params![queue, message_id], read).optional()
}

/// Gives messages back to the queue that they came from, as if they had just been sent; all of them, or one.
pub(super) fn redrive(
    connection: &Connection,
    dead_letter: &str,
    source: &str,
    message_id: Option<&str>,
    now_ms: i64,
) -> rusqlite::Result<usize> {
    let mut redrive = connection.prepare_cached(
        "UPDATE message SET queue = ?2, sent_at = ?4, visible_at = ?4, receive_count = 0, first_received_at = NULL,
             receipt = NULL
         WHERE queue = ?1 AND (?3 IS NULL OR id = ?3)",
    )?;
    redrive.execute(params![dead_letter, source, message_id, now_ms])
}

/// Writes other bodies into dead letters, all of them or one: those that `rewritten` gives. Returns how many it gave.
pub(super) fn rewrite(
    connection: &Connection,
    dead_letter: &str,
    message_id: Option<&str>,
    rewritten: impl Fn(&str) -> Option<String>,
) -> rusqlite::Result<usize> {
    let mut bodies =
        connection.prepare_cached("SELECT seq, body FROM message WHERE queue = ?1 AND (?2 IS NULL OR id = ?2)")?;
    // Collected before the first change: the changes are to the rows that are read here.
    let bodies: Vec<(i64, String)> = bodies
        .query_map(params![dead_letter, message_id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut write = connection.prepare_cached("UPDATE message SET body = ?2 WHERE seq = ?1")?;
    let mut written = 0;
    for (seq, body) in bodies {
        if let Some(body) = rewritten(&body) {
            written += write.execute(params![seq, body])?;
        }
    }
    Ok(written)
}

fn read(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let attempts: Option<u32> = row.get(4)?;
    let failure = match attempts {
        None => None,
        Some(attempts) => {
            Some(Failure { attempts, first_at_ms: row.get(5)?, last_at_ms: row.get(6)?, reason: row.get(7)? })
        }
    };
    Ok(DeadLetter {
        message_id: row.get(0)?,
        organization: row.get(1)?,
        body: row.get(2)?,
        sent_at_ms: row.get(3)?,
        failure,
    })
}
