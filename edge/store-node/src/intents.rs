//! The queue of writes, on disk: an intent that was acknowledged survives the loss of power. Settled ones are kept, so
//! that a client that asks again learns what became of its write.
//!
//! In a file of its own: the copy of the stock can be fetched anew, these cannot.

use std::path::Path;

use evenstock_domain::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Map, Value};

use crate::database::{Database, DatabaseError, Durability, Layout};
use crate::intent::{Intent, Kept, Outcome, Refusal};

/// How long the answer to an applied intent is remembered, in milliseconds: as long as the centre knows its key.
const DONE_KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

pub(crate) const LAYOUT: Layout = Layout {
    version: 1,
    tables: "
        CREATE TABLE intents (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL UNIQUE,
            store TEXT NOT NULL,
            product TEXT NOT NULL,
            delta INTEGER NOT NULL,
            version INTEGER,
            sent_version INTEGER,
            queued_at INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('queued', 'done', 'refused')),
            settled_at INTEGER,
            status INTEGER,
            answer TEXT
        ) STRICT;
        CREATE INDEX by_state ON intents (state, position);
        CREATE TABLE held (reason TEXT NOT NULL) STRICT;",
};

/// The columns that [`read_kept`] reads.
pub(crate) const COLUMNS: &str =
    "position, store, key, product, delta, version, sent_version, queued_at, state, settled_at, status, answer";

/// What came of putting an intent into the queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Enqueued {
    /// It waits; this many are to be sent before the next one after it.
    Waiting(u64),
    /// Its key is known already.
    Known(Box<Kept>),
    /// There is no room.
    Full,
}

/// How many intents there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) queued: u64,
    pub(crate) refused: u64,
}

/// The queue.
#[derive(Debug, Clone)]
pub(crate) struct Intents(Database);

impl Intents {
    /// Opens the queue in a file.
    pub(crate) fn open(file: &Path) -> Result<Self, DatabaseError> {
        Database::open(file, LAYOUT, Durability::PowerLoss).map(Self)
    }

    /// What is known of a key.
    pub(crate) async fn find(&self, key: &str) -> Result<Option<Kept>, DatabaseError> {
        let key = key.to_owned();
        self.0.read(move |connection| find(connection, &key)).await
    }

    /// Whether nothing waits.
    pub(crate) async fn is_empty(&self) -> Result<bool, DatabaseError> {
        Ok(self.head().await?.is_none())
    }

    /// The intent that is to be sent next.
    pub(crate) async fn head(&self) -> Result<Option<Kept>, DatabaseError> {
        let sql = format!("SELECT {COLUMNS} FROM intents WHERE state = 'queued' ORDER BY position LIMIT 1");
        self.0.read(move |connection| connection.query_row(&sql, [], read_kept).optional()).await
    }

    /// Puts an intent at the end; it is on disk when this returns. A key that is known is not put a second time.
    pub(crate) async fn enqueue(
        &self,
        intent: Intent,
        store: &str,
        sent_version: Option<u64>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Enqueued, DatabaseError> {
        let store = store.to_owned();
        self.0
            .run(move |tx| {
                if let Some(known) = find(tx, &intent.key)? {
                    return Ok(Enqueued::Known(Box::new(known)));
                }
                let waiting = count(tx, "queued")?;
                if waiting >= u64::from(limit) {
                    return Ok(Enqueued::Full);
                }
                let Intent { key, product, delta, version } = intent;
                let at = now.as_millis();
                tx.execute(
                    "INSERT INTO intents (key, store, product, delta, version, sent_version, queued_at, state)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'queued')",
                    params![key, store, product, delta, version, sent_version, at],
                )?;
                Ok(Enqueued::Waiting(waiting + 1))
            })
            .await
    }

    /// An intent's place among those that wait, 1 for the next one.
    pub(crate) async fn rank(&self, position: i64) -> Result<u64, DatabaseError> {
        let sql = "SELECT count(*) FROM intents WHERE state = 'queued' AND position <= ?1";
        self.0.read(move |connection| connection.query_row(sql, [position], |row| row.get(0))).await
    }

    /// Notes what became of an intent.
    pub(crate) async fn settle(&self, position: i64, outcome: Outcome, now: Timestamp) -> Result<(), DatabaseError> {
        let (state, status, body) = match outcome {
            Outcome::Queued => return Ok(()),
            Outcome::Done(body) => ("done", 200, body),
            Outcome::Refused(Refusal { status, body }) => ("refused", status, body),
        };
        let answer = Value::Object(body).to_string();
        self.0
            .run(move |tx| {
                tx.execute(
                    "UPDATE intents SET state = ?2, status = ?3, answer = ?4, settled_at = ?5
                     WHERE position = ?1 AND state = 'queued'",
                    params![position, state, status, answer, now.as_millis()],
                )?;
                let forgotten = now.plus_millis(-DONE_KEPT_MS).as_millis();
                // They were settled in order, so the oldest come first; a few each time keep up.
                tx.execute(
                    "DELETE FROM intents WHERE settled_at < ?1 AND position IN
                     (SELECT position FROM intents WHERE state = 'done' ORDER BY position LIMIT 8)",
                    [forgotten],
                )
                .map(drop)
            })
            .await
    }

    /// Intents of one state, or those that wait and those that were refused, after a position and in order.
    pub(crate) async fn list(
        &self,
        state: Option<&'static str>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Kept>, DatabaseError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM intents WHERE position > ?1
             AND (state = ?2 OR ?2 IS NULL AND state <> 'done') ORDER BY position LIMIT ?3"
        );
        self.0
            .read(move |connection| {
                connection.prepare_cached(&sql)?.query_map(params![after, state, limit], read_kept)?.collect()
            })
            .await
    }

    /// Forgets a refused intent; whether there was one.
    pub(crate) async fn forget_refused(&self, key: &str) -> Result<bool, DatabaseError> {
        let key = key.to_owned();
        let sql = "DELETE FROM intents WHERE key = ?1 AND state = 'refused'";
        self.0.run(move |tx| Ok(tx.execute(sql, [key])? > 0)).await
    }

    /// How many wait and how many were refused.
    pub(crate) async fn counts(&self) -> Result<Counts, DatabaseError> {
        self.0
            .read(|connection| {
                Ok(Counts { queued: count(connection, "queued")?, refused: count(connection, "refused")? })
            })
            .await
    }

    /// The other store that waiting intents are for, if there are such.
    pub(crate) fn other_store(&self, store: &str) -> Result<Option<String>, DatabaseError> {
        let sql = "SELECT store FROM intents WHERE state = 'queued' AND store <> ?1 LIMIT 1";
        self.0.run_here(|tx| tx.query_row(sql, [store], |row| row.get(0)).optional())
    }

    /// Stops sending until somebody looked, if anything waits.
    pub(crate) async fn hold(&self, reason: String) -> Result<bool, DatabaseError> {
        self.0
            .run(move |tx| {
                if count(tx, "queued")? == 0 {
                    return Ok(false);
                }
                tx.execute("DELETE FROM held", [])?;
                tx.execute("INSERT INTO held VALUES (?1)", [reason]).map(|_| true)
            })
            .await
    }

    /// Why sending was stopped, if it was.
    pub(crate) async fn held(&self) -> Result<Option<String>, DatabaseError> {
        self.0.read(|connection| connection.query_row("SELECT reason FROM held", [], |row| row.get(0)).optional()).await
    }

    /// Sends again.
    pub(crate) fn release(&self) -> Result<(), DatabaseError> {
        self.0.run_here(|tx| tx.execute("DELETE FROM held", []).map(drop))
    }

    /// Puts back what was read out of a damaged file, as it was.
    pub(crate) fn restore(&self, kept: &[Kept]) -> Result<(), DatabaseError> {
        self.0.run_here(|tx| {
            for Kept { position, store, intent, sent_version, queued_at, settled_at, outcome } in kept {
                let (state, status, answer) = match outcome {
                    Outcome::Queued => ("queued", None, None),
                    Outcome::Done(body) => ("done", Some(200), Some(body)),
                    Outcome::Refused(Refusal { status, body }) => ("refused", Some(*status), Some(body)),
                };
                let answer = answer.map(|body| Value::Object(body.clone()).to_string());
                let (queued_at, settled_at) = (queued_at.as_millis(), settled_at.map(Timestamp::as_millis));
                let Intent { key, product, delta, version } = intent;
                let sql = format!("INSERT INTO intents ({COLUMNS}) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)");
                tx.execute(
                    &sql,
                    params![
                        position,
                        store,
                        key,
                        product,
                        delta,
                        version,
                        sent_version,
                        queued_at,
                        state,
                        settled_at,
                        status,
                        answer
                    ],
                )?;
            }
            Ok(())
        })
    }
}

fn find(connection: &Connection, key: &str) -> rusqlite::Result<Option<Kept>> {
    let sql = format!("SELECT {COLUMNS} FROM intents WHERE key = ?1");
    connection.prepare_cached(&sql)?.query_row([key], read_kept).optional()
}

fn count(connection: &Connection, state: &str) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM intents WHERE state = ?1";
    connection.prepare_cached(sql)?.query_row([state], |row| row.get(0))
}

/// Reads one row of [`COLUMNS`].
pub(crate) fn read_kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let answer = || {
        let text: String = row.get(11)?;
        serde_json::from_str::<Map<String, Value>>(&text)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(11, rusqlite::types::Type::Text, error.into()))
    };
    let state: String = row.get(8)?;
    let outcome = match state.as_str() {
        "queued" => Outcome::Queued,
        "done" => Outcome::Done(answer()?),
        _ => Outcome::Refused(Refusal { status: row.get(10)?, body: answer()? }),
    };
    let settled_at: Option<i64> = row.get(9)?;
    Ok(Kept {
        position: row.get(0)?,
        store: row.get(1)?,
        intent: Intent { key: row.get(2)?, product: row.get(3)?, delta: row.get(4)?, version: row.get(5)? },
        sent_version: row.get(6)?,
        queued_at: Timestamp::EPOCH.plus_millis(row.get(7)?),
        settled_at: settled_at.map(|millis| Timestamp::EPOCH.plus_millis(millis)),
        outcome,
    })
}
