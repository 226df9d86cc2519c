//! `--rebuild`: throws the copy of the stock away, and keeps the queued writes. Those are somebody's sales, so a damaged
//! queue is read as far as it can be, and its file is kept.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use evenstock_domain::Timestamp;
use rusqlite::Connection;
use tracing::{error, info, warn};

use crate::cli::with_causes;
use crate::database::{DatabaseError, beside};
use crate::intent::Kept;
use crate::intents::{COLUMNS, Intents, read_kept};

/// Why a rebuild did not succeed. Nothing is lost by it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RebuildError {
    #[error("{} cannot be replaced", .0.display())]
    File(PathBuf, #[source] io::Error),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Removes the copy of the stock.
pub(crate) fn discard_cache(file: &Path) -> Result<(), RebuildError> {
    for file in [file.to_owned(), beside(file, "-wal"), beside(file, "-shm")] {
        remove(&file)?;
    }
    Ok(())
}

/// Makes sure that the queue's file is whole: as it is, or made anew from what can be read of it.
pub(crate) fn repair_intents(file: &Path, now: Timestamp) -> Result<(), RebuildError> {
    match Intents::open(file) {
        Ok(_) => {
            info!("the queue's file is whole and stays as it is");
            return Ok(());
        }
        Err(DatabaseError::Damaged(_, cause)) => warn!(cause = with_causes(&cause), "the queue's file is damaged"),
        Err(other) => return Err(other.into()),
    }
    let aside = beside(file, &format!(".damaged-{}", now.as_millis()));
    copy(file, &aside)?;
    let wal = beside(file, "-wal");
    if wal.exists() {
        copy(&wal, &beside(&aside, "-wal"))?;
    }
    let read = read_damaged(&aside);
    let fresh = beside(file, ".new");
    discard_cache(&fresh)?;
    let intents = Intents::open(&fresh)?;
    intents.restore(&read)?;
    // Closed before it is renamed, so that everything is in the one file.
    drop(intents);
    File::open(&fresh).and_then(|file| file.sync_all()).map_err(|error| RebuildError::File(fresh.clone(), error))?;
    // What SQLite kept beside the damaged file does not belong to the new one.
    remove(&wal)?;
    remove(&beside(file, "-shm"))?;
    fs::rename(&fresh, file).map_err(|error| RebuildError::File(file.to_owned(), error))?;
    error!(
        read = read.len(),
        damaged = %aside.display(),
        "the queue was made anew from what could be read; more may have waited in it, and the damaged file is kept"
    );
    Ok(())
}

/// Every intent that can be read, from both ends of the file: a damaged page in the middle hides only itself.
fn read_damaged(file: &Path) -> Vec<Kept> {
    let mut found = BTreeMap::new();
    for order in ["ASC", "DESC"] {
        let mut read = || {
            let connection = Connection::open(file)?;
            // By the table itself: an index may be what is damaged.
            let sql = format!("SELECT {COLUMNS} FROM intents NOT INDEXED ORDER BY position {order}");
            let mut query = connection.prepare(&sql)?;
            for kept in query.query_map([], read_kept)? {
                let kept = kept?;
                found.insert(kept.position, kept);
            }
            Ok::<_, rusqlite::Error>(())
        };
        if let Err(error) = read() {
            warn!(cause = with_causes(&error), order, "a part of the damaged queue cannot be read");
        }
    }
    // A damaged page may show one key twice, and a key can stand for one intent only.
    let mut keys = std::collections::BTreeSet::new();
    found.into_values().filter(|kept| keys.insert(kept.intent.key.clone())).collect()
}

fn copy(from: &Path, to: &Path) -> Result<(), RebuildError> {
    fs::copy(from, to).map(drop).map_err(|error| RebuildError::File(to.to_owned(), error))
}

fn remove(file: &Path) -> Result<(), RebuildError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RebuildError::File(file.to_owned(), error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;
    use crate::intent::Intent;
    use crate::intents::Enqueued;

    async fn queue_of(file: &Path, count: u32) {
        let intents = Intents::open(file).unwrap();
        for n in 0..count {
            let key = format!("key-{n}-{}", "x".repeat(200));
            let intent = Intent { key, product: "SKU".to_owned(), delta: -1, version: Some(n.into()) };
            let queued = intents.enqueue(intent, "store-7", None, 1000, Timestamp::EPOCH).await.unwrap();
            assert_eq!(queued, Enqueued::Waiting(u64::from(n) + 1));
        }
    }

    async fn keys(file: &Path) -> Vec<String> {
        let kept = Intents::open(file).unwrap().list(None, 0, 1000).await.unwrap();
        kept.into_iter().map(|kept| kept.intent.key.split('-').take(2).collect::<Vec<_>>().join("-")).collect()
    }

    fn damaged_files(folder: &Path) -> usize {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains(".damaged-") && !name.contains("sqlite.damaged-0-")).count()
    }

    #[tokio::test]
    async fn whole_queue_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("intents.sqlite");
        queue_of(&file, 3).await;
        repair_intents(&file, Timestamp::EPOCH).unwrap();
        assert_eq!(keys(&file).await, ["key-0", "key-1", "key-2"]);
        assert_eq!(damaged_files(folder.path()), 0);
    }

    #[tokio::test]
    async fn intents_around_a_damaged_page_are_kept_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("intents.sqlite");
        queue_of(&file, 200).await;
        // A page of the table in the middle: pages hold 4096 bytes, and an intent takes about 250.
        let content = fs::read(&file).unwrap();
        let middle = (1..content.len() / 4096)
            .filter(|page| content[page * 4096] == 0x0d)
            .find(|page| String::from_utf8_lossy(&content[page * 4096..(page + 1) * 4096]).contains("store-7"))
            .map(|page| page + 6)
            .unwrap();
        let mut damaged = File::options().write(true).open(&file).unwrap();
        damaged.seek(SeekFrom::Start(u64::try_from(middle * 4096).unwrap())).unwrap();
        damaged.write_all(&[0xff; 4096]).unwrap();
        drop(damaged);
        assert!(matches!(Intents::open(&file), Err(DatabaseError::Damaged(..))));

        repair_intents(&file, Timestamp::EPOCH).unwrap();
        let keys = keys(&file).await;
        assert!(keys.len() >= 100 && keys.len() < 200, "{}", keys.len());
        let numbers: Vec<u32> = keys.iter().map(|key| key[4..].parse().unwrap()).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
        assert_eq!(damaged_files(folder.path()), 1, "the damaged file is kept");
    }

    #[tokio::test]
    async fn queue_that_cannot_be_read_at_all_is_kept_aside_and_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("intents.sqlite");
        fs::write(&file, "this was never a database, and it is long enough to be taken for one".repeat(100)).unwrap();
        assert!(matches!(Intents::open(&file), Err(DatabaseError::Damaged(..))));
        repair_intents(&file, Timestamp::EPOCH).unwrap();
        assert!(keys(&file).await.is_empty());
        assert_eq!(damaged_files(folder.path()), 1);
    }
}
