//! A SQLite file: opened whole or not at all, with errors that name it.
//!
//! Must not know what is in it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// Its content is not what SQLite wrote.
    #[error(
        "{} is damaged; start once with --rebuild: the copy of the stock is fetched anew, and queued writes are kept as far \
         as they can be read",
        .0.display()
    )]
    Damaged(PathBuf, #[source] rusqlite::Error),
    /// Another version of this program wrote it.
    #[error("{} has layout {found}, and this version reads {expected}", .file.display())]
    Layout {
        /// The file.
        file: PathBuf,
        /// Its layout.
        found: i64,
        /// Ours.
        expected: i64,
    },
    /// The disk is full, or the file may not be written, or the like.
    #[error("{} cannot be used", .0.display())]
    Failed(PathBuf, #[source] rusqlite::Error),
    /// The work on it did not end.
    #[error("the work on {} was cut off", .0.display())]
    CutOff(PathBuf),
}

/// When a commit counts as done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Durability {
    /// Once it survives the loss of power.
    PowerLoss,
    /// Once it survives the end of the process. The loss of power may take the newest commits, never parts of one.
    Crash,
}

/// The tables of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// Its number, from 1.
    pub(crate) version: i64,
    /// Makes the tables in an empty file.
    pub(crate) tables: &'static str,
}

/// One connection to a file. Calls wait for each other.
#[derive(Debug, Clone)]
pub(crate) struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    connection: Mutex<Connection>,
}

impl Database {
    /// Opens a file, makes its tables if it is new, and reads it through once to see that it is whole.
    pub(crate) fn open(file: &Path, layout: Layout, durability: Durability) -> Result<Self, DatabaseError> {
        let connection = connect(file, layout, durability).map_err(|error| named(file, error))?;
        let found: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(|error| named(file, error))?;
        if found != layout.version {
            return Err(DatabaseError::Layout { file: file.to_owned(), found, expected: layout.version });
        }
        Ok(Self(Arc::new(Inner { file: file.to_owned(), connection: Mutex::new(connection) })))
    }

    /// Runs `work` in one transaction, away from the threads that serve requests.
    pub(crate) async fn run<T, W>(&self, work: W) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let database = self.clone();
        let done = tokio::task::spawn_blocking(move || database.run_here(work)).await;
        done.unwrap_or_else(|_| Err(DatabaseError::CutOff(self.0.file.clone())))
    }

    /// Runs `work` in one transaction on this thread.
    pub(crate) fn run_here<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, DatabaseError> {
        let mut connection = self.0.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transacted = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        transacted().map_err(|error| named(&self.0.file, error))
    }

    /// Runs `work`, which only reads, beside whoever writes through another connection.
    pub(crate) async fn read<T, W>(&self, work: W) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let database = self.clone();
        let read = move || {
            let connection = database.0.connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&connection).map_err(|error| named(&database.0.file, error))
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Err(DatabaseError::CutOff(self.0.file.clone())))
    }
}

fn connect(file: &Path, layout: Layout, durability: Durability) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.execute_batch(match durability {
        Durability::PowerLoss => "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
        Durability::Crash => "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
    })?;
    let health: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if health != "ok" {
        let damaged = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(damaged, Some(health)));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? == 0 {
        transaction.execute_batch(layout.tables)?;
        transaction.pragma_update(None, "user_version", layout.version)?;
    }
    transaction.commit()?;
    Ok(connection)
}

fn named(file: &Path, error: rusqlite::Error) -> DatabaseError {
    let damaged = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        }
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..) => true,
        _ => false,
    };
    let file = file.to_owned();
    if damaged { DatabaseError::Damaged(file, error) } else { DatabaseError::Failed(file, error) }
}

/// The file that SQLite keeps beside another one.
pub(crate) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
