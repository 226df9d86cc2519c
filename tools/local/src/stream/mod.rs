//! The table's stream, given to a handler in order, batch by batch, from a checkpoint that survives restarts.
//!
//! Owns what counts as delivered: the checkpoint moves only over records that the handler was done with, or that the
//! filters left out. Must not know what a record says.

mod log;

use std::error::Error;
use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::dynamodb::Event;
use dynoxide::DynoxideError;
use serde_json::json;
use tokio::task::JoinError;
use tokio::time::sleep;
use tracing::{error, warn};

use crate::dynamo::LocalDynamo;
use crate::filter::Pattern;
use log::{Record, StreamLog};

/// Time between two looks at a stream with nothing new, and after a batch that was not full: so few records come one by
/// one that each would cost a page of the feed.
const IDLE: Duration = Duration::from_millis(50);

/// Time before a failed batch comes again; doubled with every failure in a row.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(10);

/// Why the stream could not be read or the checkpoint not be moved.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The table has no stream.
    #[error("table {0} has no stream")]
    NoStream(String),
    /// The database does not give its stream.
    #[error("the stream cannot be read")]
    Database(#[from] DynoxideError),
    /// The checkpoint cannot be read or moved.
    #[error("the stream's checkpoint cannot be read or moved")]
    Checkpoint(#[from] rusqlite::Error),
    /// The database gave a record that is not one.
    #[error("a stream record cannot be read")]
    Record(#[from] serde_json::Error),
    /// The database gave an iterator that is not one.
    #[error("a stream iterator cannot be read")]
    Iterator,
    /// The thread that read broke off.
    #[error("the reading of the stream broke off")]
    Broken(#[from] JoinError),
}

/// What one look at the stream came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// There was nothing new.
    Idle,
    /// A batch is done.
    Done,
    /// A batch failed, wholly or from some record on; that record comes again.
    Failed,
}

/// Reads one table's stream. There may be only one reader of a table at a time.
#[derive(Debug)]
pub struct StreamReader {
    log: Arc<StreamLog>,
    filters: Vec<Pattern>,
    batch_size: usize,
    /// The next batch's size: smaller after a failure.
    limit: usize,
    /// Failures in a row.
    failures: u32,
    /// Whether there was more to read than one batch.
    is_behind: bool,
}

impl StreamReader {
    /// Opens the stream of `table` where an earlier reader left it, or at its beginning. A record is delivered when it
    /// matches one of `filters`, or when there are none.
    ///
    /// # Errors
    /// [`StreamError`] when the table has no stream or its file cannot be used.
    pub fn open(
        dynamo: &LocalDynamo,
        table: &str,
        batch_size: usize,
        filters: Vec<Pattern>,
    ) -> Result<Self, StreamError> {
        let log = Arc::new(StreamLog::open(dynamo, table)?);
        let batch_size = batch_size.max(1);
        Ok(Self { log, filters, batch_size, limit: batch_size, failures: 0, is_behind: false })
    }

    /// Delivers batches until `stop` resolves; a batch that is being handled then is finished first. What fails is
    /// tried again for ever, with growing pauses.
    ///
    /// `handler` answers with the sequence numbers of records that failed: the stream goes on from the first of them.
    pub async fn run<H, F, E>(mut self, handler: H, stop: impl Future<Output = ()>)
    where
        H: Fn(Event) -> F,
        F: Future<Output = Result<Vec<String>, E>>,
        E: Display,
    {
        let mut stop = pin!(stop);
        loop {
            let wait = match self.deliver(&handler).await {
                Ok(Delivery::Done) if self.is_behind => Duration::ZERO,
                Ok(Delivery::Done | Delivery::Idle) => IDLE,
                Ok(Delivery::Failed) => self.retry_wait(),
                Err(error) => {
                    error!(error = &error as &dyn Error, "the table's stream stands still");
                    self.failures = self.failures.saturating_add(1);
                    self.retry_wait()
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = sleep(wait) => {}
            }
        }
    }

    fn retry_wait(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        RETRY_FIRST.saturating_mul(1 << doublings).min(RETRY_LAST)
    }

    /// Delivers the next batch, if there is one.
    ///
    /// # Errors
    /// [`StreamError`] when the stream cannot be read or the checkpoint not be moved. A batch whose checkpoint was not
    /// moved comes again.
    pub async fn deliver<H, F, E>(&mut self, handler: &H) -> Result<Delivery, StreamError>
    where
        H: Fn(Event) -> F,
        F: Future<Output = Result<Vec<String>, E>>,
        E: Display,
    {
        let limit = self.limit;
        let records = self.with_log(move |log| log.read(limit)).await?;
        self.is_behind = records.len() >= limit;
        if records.is_empty() {
            return Ok(Delivery::Idle);
        }
        let done = self.handle(&records, handler).await?;
        let last_done = done.checked_sub(1).and_then(|last| records.get(last));
        if let Some(record) = last_done {
            let sequence_number = record.sequence_number.clone();
            self.with_log(move |log| log.advance(&sequence_number)).await?;
        }
        if done < records.len() {
            self.failures = self.failures.saturating_add(1);
            return Ok(Delivery::Failed);
        }
        self.limit = self.batch_size;
        self.failures = 0;
        Ok(Delivery::Done)
    }

    /// How many of the records, from the first on, need not come again.
    async fn handle<H, F, E>(&mut self, records: &[Record], handler: &H) -> Result<usize, StreamError>
    where
        H: Fn(Event) -> F,
        F: Future<Output = Result<Vec<String>, E>>,
        E: Display,
    {
        let matching = records.iter().filter(|record| self.is_wanted(record)).map(|record| &record.event);
        let matching: Vec<_> = matching.collect();
        if matching.is_empty() {
            return Ok(records.len());
        }
        let event: Event = serde_json::from_value(json!({ "Records": matching }))?;
        match handler(event).await {
            Ok(failed) => Ok(done_before(records, &failed)),
            Err(error) => {
                warn!(records = matching.len(), failures = self.failures, "a batch of the stream failed: {error}");
                // Half of it next time: what stands before the record that fails is then delivered.
                self.limit = (records.len() / 2).max(1);
                Ok(0)
            }
        }
    }

    fn is_wanted(&self, record: &Record) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.matches(&record.event))
    }

    /// `SQLite` blocks, so it is not called on the runtime's own threads.
    async fn with_log<T: Send + 'static>(
        &self,
        work: impl FnOnce(&StreamLog) -> Result<T, StreamError> + Send + 'static,
    ) -> Result<T, StreamError> {
        let log = Arc::clone(&self.log);
        tokio::task::spawn_blocking(move || work(&log)).await?
    }
}

/// The number of records before the first failed one. A number that is not in the batch fails it as a whole, as the
/// event source of AWS has it.
fn done_before(records: &[Record], failed: &[String]) -> usize {
    let places = failed.iter().map(|number| records.iter().position(|record| record.sequence_number == *number));
    places.map(Option::unwrap_or_default).min().unwrap_or(records.len())
}

#[cfg(test)]
mod tests;
