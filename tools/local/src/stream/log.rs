//! The stream's records in the database's file, and the checkpoint beside them.
//!
//! The checkpoint lies in the same file as the records, so that it moves and they are trimmed in one transaction.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dynoxide::Database;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::{GetShardIteratorRequest, decode_shard_iterator};
use dynoxide::actions::list_streams::ListStreamsRequest;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde_json::Value;

use super::StreamError;
use crate::dynamo::{LocalDynamo, open_beside};

const CHECKPOINTS: &str = "CREATE TABLE IF NOT EXISTS _evenstock_checkpoints (
    table_name TEXT PRIMARY KEY,
    sequence_number TEXT NOT NULL
) WITHOUT ROWID";

/// A record of the stream.
#[derive(Debug)]
pub(super) struct Record {
    /// Its number, as the handler sees it.
    pub(super) sequence_number: String,
    /// The record as a function gets it.
    pub(super) event: Value,
}

/// One table's stream.
pub(super) struct StreamLog {
    database: Database,
    table: String,
    stream_arn: String,
    shard_id: String,
    connection: Mutex<Connection>,
}

impl StreamLog {
    pub(super) fn open(dynamo: &LocalDynamo, table: &str) -> Result<Self, StreamError> {
        let database = dynamo.database().clone();
        let no_stream = || StreamError::NoStream(table.to_owned());
        let of_table = ListStreamsRequest { table_name: Some(table.to_owned()), ..ListStreamsRequest::default() };
        let stream = database.list_streams(of_table)?.streams.into_iter().next().ok_or_else(no_stream)?;
        let describe =
            DescribeStreamRequest { stream_arn: stream.stream_arn.clone(), ..DescribeStreamRequest::default() };
        // dynoxide has one shard a table, for ever.
        let shards = database.describe_stream(describe)?.stream_description.shards;
        let shard = shards.into_iter().next().ok_or_else(no_stream)?;
        let connection = open_beside(dynamo.path())?;
        connection.execute_batch(CHECKPOINTS)?;
        Ok(Self {
            database,
            table: table.to_owned(),
            stream_arn: stream.stream_arn,
            shard_id: shard.shard_id,
            connection: Mutex::new(connection),
        })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first records behind the checkpoint, at most `limit`.
    pub(super) fn read(&self, limit: usize) -> Result<Vec<Record>, StreamError> {
        let checkpoint = self.checkpoint()?;
        let shard_iterator = self.iterator_behind(checkpoint)?;
        let records = self.database.get_records(GetRecordsRequest { shard_iterator, limit: Some(limit) })?.records;
        let records = records.into_iter().map(|record| {
            let mut event = serde_json::to_value(&record)?;
            if let Some(fields) = event.as_object_mut() {
                fields.insert("eventSourceARN".to_owned(), self.stream_arn.clone().into());
            }
            Ok(Record { sequence_number: record.dynamodb.sequence_number, event })
        });
        records.collect()
    }

    fn checkpoint(&self) -> Result<Option<String>, StreamError> {
        let connection = self.connection();
        let mut select =
            connection.prepare_cached("SELECT sequence_number FROM _evenstock_checkpoints WHERE table_name = ?1")?;
        Ok(select.query_row([&self.table], |row| row.get(0)).optional()?)
    }

    fn iterator_behind(&self, sequence_number: Option<String>) -> Result<String, StreamError> {
        let start = if sequence_number.is_some() { "AFTER_SEQUENCE_NUMBER" } else { "TRIM_HORIZON" };
        let request = GetShardIteratorRequest {
            stream_arn: self.stream_arn.clone(),
            shard_id: self.shard_id.clone(),
            shard_iterator_type: start.to_owned(),
            sequence_number,
        };
        self.database.get_shard_iterator(request)?.shard_iterator.ok_or(StreamError::Iterator)
    }

    /// Moves the checkpoint onto a record and removes those before it.
    pub(super) fn advance(&self, sequence_number: &str) -> Result<(), StreamError> {
        let iterator = self.iterator_behind(Some(sequence_number.to_owned()))?;
        // In the file a record has a shorter number than the one that the outside sees.
        let (_, _, stored) = decode_shard_iterator(&iterator).ok_or(StreamError::Iterator)?;
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO _evenstock_checkpoints (table_name, sequence_number) VALUES (?1, ?2)",
            )?
            .execute([&self.table, sequence_number])?;
        // The record at the checkpoint stays: the next number is counted from the highest, and a clock that was set
        // back could otherwise give a new record a number that lies behind us.
        transaction
            .prepare_cached(
                "DELETE FROM _stream_records WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) < ?2",
            )?
            .execute(params![self.table, stored])?;
        Ok(transaction.commit()?)
    }
}

impl std::fmt::Debug for StreamLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamLog").field("table", &self.table).finish_non_exhaustive()
    }
}
