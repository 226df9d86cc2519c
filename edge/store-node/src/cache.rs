//! The copy of the stock, on disk: levels, and how far the feed was followed. Both change in one transaction.
//!
//! The file can be thrown away at any time: the centre knows everything in it.
//!
//! A new snapshot is written beside the copy in use, under the next generation's number, and takes its place in one step
//! when it is complete. So reads go on meanwhile, a level that the centre no longer names disappears, and versions of
//! another history cannot mix with those of this one.

use std::path::Path;

use evenstock_domain::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::database::{Database, DatabaseError, Durability, Layout};
use crate::level::{Level, Saying};
use crate::wire::About;

const LAYOUT: Layout = Layout {
    version: 1,
    tables: "
        CREATE TABLE levels (
            generation INTEGER NOT NULL,
            product TEXT NOT NULL,
            store TEXT NOT NULL,
            version INTEGER NOT NULL,
            available INTEGER NOT NULL,
            updated_at INTEGER NOT NULL,
            reserved_version INTEGER NOT NULL,
            reserved INTEGER NOT NULL,
            PRIMARY KEY (generation, product, store)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE progress (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            generation INTEGER NOT NULL,
            building INTEGER NOT NULL,
            feed_offset INTEGER,
            level_at INTEGER,
            centre TEXT,
            key_mark BLOB
        ) STRICT;
        INSERT INTO progress VALUES (1, 0, 0, NULL, NULL, NULL, NULL);",
};

/// Whose stock this is a copy of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The centre's base URL.
    pub(crate) centre: String,
    /// Tells keys apart without giving them away.
    pub(crate) key_mark: Vec<u8>,
}

/// How far the copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The last change of the feed that is in it; `None` before the first snapshot is complete.
    pub(crate) offset: Option<u64>,
    /// When it last held everything that the centre had, by this node's clock.
    pub(crate) level_at: Option<Timestamp>,
}

/// The copy of the stock.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    writes: Database,
    /// A connection of its own, so that a read does not wait for a page of a snapshot.
    reads: Database,
}

impl Cache {
    /// Opens the copy in a file.
    pub(crate) fn open(file: &Path) -> Result<Self, DatabaseError> {
        let open = || Database::open(file, LAYOUT, Durability::Crash);
        Ok(Self { writes: open()?, reads: open()? })
    }

    /// Whose copy it is. A new one becomes `claimant`'s.
    pub(crate) fn owner(&self, claimant: &Owner) -> Result<Owner, DatabaseError> {
        self.writes.run_here(|tx| {
            let claim = "UPDATE progress SET centre = ?1, key_mark = ?2 WHERE centre IS NULL";
            tx.execute(claim, params![claimant.centre, claimant.key_mark])?;
            tx.query_row("SELECT centre, key_mark FROM progress", [], |row| {
                Ok(Owner { centre: row.get(0)?, key_mark: row.get(1)? })
            })
        })
    }

    /// How far the copy is.
    pub(crate) async fn progress(&self) -> Result<Progress, DatabaseError> {
        self.reads
            .read(|connection| {
                connection.query_row("SELECT feed_offset, level_at FROM progress", [], |row| {
                    let level_at: Option<i64> = row.get(1)?;
                    Ok(Progress {
                        offset: row.get(0)?,
                        level_at: level_at.map(|millis| Timestamp::EPOCH.plus_millis(millis)),
                    })
                })
            })
            .await
    }

    /// Begins a snapshot beside the copy in use; an unfinished one is forgotten.
    pub(crate) async fn begin_snapshot(&self) -> Result<(), DatabaseError> {
        self.writes
            .run(|tx| {
                tx.execute("DELETE FROM levels WHERE generation <> (SELECT generation FROM progress)", [])?;
                tx.execute("UPDATE progress SET building = 1", []).map(drop)
            })
            .await
    }

    /// Adds a page to the snapshot that was begun.
    pub(crate) async fn add_to_snapshot(&self, page: Vec<About>) -> Result<(), DatabaseError> {
        self.writes
            .run(move |tx| {
                let (generation, _) = generations(tx)?;
                page.iter().try_for_each(|about| fold(tx, generation + 1, about))
            })
            .await
    }

    /// Puts the snapshot in the place of the copy in use; the feed goes on from `offset`.
    pub(crate) async fn finish_snapshot(&self, offset: u64, owner: Owner) -> Result<(), DatabaseError> {
        self.writes
            .run(move |tx| {
                tx.execute(
                    "UPDATE progress SET generation = generation + 1, building = 0, feed_offset = ?1, level_at = NULL,
                     centre = ?2, key_mark = ?3",
                    params![offset, owner.centre, owner.key_mark],
                )?;
                tx.execute("DELETE FROM levels WHERE generation <> (SELECT generation FROM progress)", []).map(drop)
            })
            .await
    }

    /// Takes in changes of the feed up to `offset`. `level_at`: when nothing was left to fetch.
    pub(crate) async fn apply_changes(
        &self,
        changes: Vec<About>,
        offset: u64,
        level_at: Option<Timestamp>,
    ) -> Result<(), DatabaseError> {
        self.writes
            .run(move |tx| {
                let (generation, _) = generations(tx)?;
                changes.iter().try_for_each(|about| fold(tx, generation, about))?;
                tx.execute(
                    "UPDATE progress SET feed_offset = ?1, level_at = coalesce(?2, level_at)",
                    params![offset, level_at.map(Timestamp::as_millis)],
                )
                .map(drop)
            })
            .await
    }

    /// Takes in what the answer to a write said, also into a snapshot under way: its page may have been read before.
    pub(crate) async fn apply_answers(&self, answers: Vec<About>) -> Result<(), DatabaseError> {
        self.writes
            .run(move |tx| {
                let (generation, building) = generations(tx)?;
                let used = (generation > 0).then_some(generation);
                for generation in used.into_iter().chain(building.then_some(generation + 1)) {
                    answers.iter().try_for_each(|about| fold(tx, generation, about))?;
                }
                Ok(())
            })
            .await
    }

    /// A product's levels, at one store or at all.
    pub(crate) async fn levels(&self, product: &str, store: Option<&str>) -> Result<Vec<Level>, DatabaseError> {
        let (product, store) = (product.to_owned(), store.map(str::to_owned));
        self.reads
            .read(move |connection| {
                let mut query = connection.prepare_cached(
                    "SELECT version, available, updated_at, reserved_version, reserved FROM levels
                     WHERE generation = (SELECT generation FROM progress) AND product = ?1
                     AND store = coalesce(?2, store)",
                )?;
                query.query_map(params![product, store], read_level)?.collect()
            })
            .await
    }
}

/// The generation in use, and whether the next one is being built.
fn generations(tx: &Transaction<'_>) -> rusqlite::Result<(i64, bool)> {
    tx.query_row("SELECT generation, building FROM progress", [], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn read_level(row: &Row<'_>) -> rusqlite::Result<Level> {
    Ok(Level {
        version: row.get(0)?,
        available: row.get(1)?,
        updated_at: Timestamp::EPOCH.plus_millis(row.get(2)?),
        reserved_version: row.get(3)?,
        reserved: row.get(4)?,
    })
}

fn fold(connection: &Connection, generation: i64, about: &About) -> rusqlite::Result<()> {
    let About { product, store, saying } = about;
    let saying: &Saying = saying;
    let known = connection
        .prepare_cached(
            "SELECT version, available, updated_at, reserved_version, reserved FROM levels
             WHERE generation = ?1 AND product = ?2 AND store = ?3",
        )?
        .query_row(params![generation, product, store], read_level)
        .optional()?;
    let Some(level) = Level::fold(known, saying) else {
        return Ok(());
    };
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO levels VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    let at = level.updated_at.as_millis();
    let Level { version, available, reserved_version, reserved, .. } = level;
    put.execute(params![generation, product, store, version, available, at, reserved_version, reserved]).map(drop)
}

#[cfg(test)]
mod tests;
