//! `DynamoDB` in this process: dynoxide on a `SQLite` file, served on loopback, with the template's table in it.
//!
//! Owns the database, its server and its file. Must not know what the items mean.

mod table;

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dynoxide::{Database, DynoxideError};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use crate::template::TableSettings;

/// How long our own connection waits for dynoxide's to finish a write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Every write asks for the highest sequence number, and every read of the stream for those above one. Without this
/// index both scan the whole stream.
const SEQUENCE_INDEX: &str = "CREATE INDEX IF NOT EXISTS _stream_records_by_sequence
    ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";

/// A running `DynamoDB`. Dropping it stops the server too, without waiting for it.
pub struct LocalDynamo {
    endpoint: String,
    path: PathBuf,
    database: Database,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), String>>,
    // The last field: removed when everything else is closed.
    _directory: Option<TempDir>,
}

/// Why the local `DynamoDB` does not run.
#[derive(Debug, thiserror::Error)]
pub enum DynamoError {
    /// There is no room for a temporary file.
    #[error("no temporary directory")]
    Directory(#[source] std::io::Error),
    /// The path is not UTF-8.
    #[error("{0} is not a path in UTF-8")]
    Path(PathBuf),
    /// The file cannot be opened, or an operation on it failed.
    #[error("the local DynamoDB failed")]
    Database(#[from] DynoxideError),
    /// The file of an earlier version holds the table in another shape.
    #[error("{path} holds table {table} with other keys, indexes or stream than the template; remove the file")]
    OtherTable {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
    },
    /// The file cannot be prepared.
    #[error("the local DynamoDB's file cannot be prepared")]
    File(#[from] rusqlite::Error),
    /// There is no port to listen on.
    #[error("no port on loopback")]
    Listen(#[source] std::io::Error),
    /// The server failed.
    #[error("the local DynamoDB's server failed: {0}")]
    Serve(String),
    /// The server's task panicked.
    #[error("the local DynamoDB's server broke off")]
    Broken(#[source] JoinError),
}

impl LocalDynamo {
    /// Opens the file at `path`, or a temporary one that is removed at the end, creates the table if it is absent, and
    /// serves both on a free port of loopback.
    ///
    /// # Errors
    /// [`DynamoError`] when the file, the table in it or a port is not to be had.
    pub async fn start(path: Option<&Path>, table: &TableSettings) -> Result<Self, DynamoError> {
        let (path, directory) = match path {
            Some(path) => (path.to_owned(), None),
            // Not dynoxide's memory mode: our own connection needs a file too.
            None => {
                let directory = tempfile::tempdir().map_err(DynamoError::Directory)?;
                (directory.path().join("dynamo.sqlite"), Some(directory))
            }
        };
        let database = Database::new(path.to_str().ok_or_else(|| DynamoError::Path(path.clone()))?)?;
        if directory.is_some() {
            // Nobody reads this file after a crash, so nothing waits for the disk.
            database.enable_bulk_loading()?;
        }
        table::ensure(&database, &path, table)?;
        open_beside(&path)?.execute_batch(SEQUENCE_INDEX)?;

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(DynamoError::Listen)?;
        let endpoint = format!("http://{}", listener.local_addr().map_err(DynamoError::Listen)?);
        let (stop, stopped) = oneshot::channel();
        // A dropped sender means stop too.
        let stopped = async { stopped.await.unwrap_or_default() };
        let server = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database.clone(), stopped));
        Ok(Self { endpoint, path, database, stop, server, _directory: directory })
    }

    /// Where an AWS SDK client finds it: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The database itself, for what is not reached through the SDK.
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes no more requests, lets the running ones finish, and closes the file.
    ///
    /// # Errors
    /// [`DynamoError::Serve`] or [`DynamoError::Broken`] when the server had failed.
    pub async fn stop(self) -> Result<(), DynamoError> {
        drop(self.stop);
        self.server.await.map_err(DynamoError::Broken)?.map_err(DynamoError::Serve)
    }
}

impl fmt::Debug for LocalDynamo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, path, .. } = self;
        f.debug_struct("LocalDynamo").field("endpoint", endpoint).field("path", path).finish_non_exhaustive()
    }
}

/// A connection of our own to dynoxide's file. It must keep its writes short: requests wait for them.
pub(crate) fn open_beside(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // What we write here may be lost in a power cut: the index is made again, a checkpoint only means a redelivery.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

#[cfg(test)]
mod tests;
