//! The database starts from the real template, serves, and comes back.

use rusqlite::StatementStatus;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::template::Template;

fn table() -> TableSettings {
    Template::built_in().unwrap().table
}

fn put(dynamo: &LocalDynamo, sk: &str) {
    let request = json!({"TableName": "StockTable", "Item": {"pk": {"S": "p"}, "sk": {"S": sk}, "o": {"S": "org"}}});
    dynamo.database().put_item(serde_json::from_value(request).unwrap()).unwrap();
}

fn count(dynamo: &LocalDynamo) -> usize {
    let query = json!({
        "TableName": "StockTable", "IndexName": "by-organization", "KeyConditionExpression": "o = :o",
        "ExpressionAttributeValues": {":o": {"S": "org"}},
    });
    dynamo.database().query(serde_json::from_value(query).unwrap()).unwrap().count
}

#[tokio::test]
async fn serves_on_loopback_until_stopped() {
    let dynamo = LocalDynamo::start(None, &table()).await.unwrap();
    let address = dynamo.endpoint().strip_prefix("http://").unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"));
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let path = dynamo.path().to_owned();
    assert!(path.exists());
    dynamo.stop().await.unwrap();
    assert!(TcpStream::connect(&address).await.is_err());
    assert!(!path.exists(), "a temporary file goes with its server");
}

#[tokio::test]
async fn table_is_created_once_and_keeps_its_items() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dynamo.sqlite");
    let dynamo = LocalDynamo::start(Some(&path), &table()).await.unwrap();
    put(&dynamo, "L#1");
    let metadata = dynamo.database().get_table_metadata("StockTable").unwrap().unwrap();
    assert_eq!((metadata.ttl_attribute.as_deref(), metadata.ttl_enabled), (Some("x"), true));
    assert_eq!(metadata.stream_view_type.as_deref(), Some("NEW_AND_OLD_IMAGES"));
    dynamo.stop().await.unwrap();
    let dynamo = LocalDynamo::start(Some(&path), &table()).await.unwrap();
    put(&dynamo, "L#2");
    assert_eq!(count(&dynamo), 2);
}

#[tokio::test]
async fn file_with_another_table_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dynamo.sqlite");
    LocalDynamo::start(Some(&path), &table()).await.unwrap().stop().await.unwrap();
    let mut other = table();
    other.indexes.clear();
    let refused = LocalDynamo::start(Some(&path), &other).await;
    assert!(matches!(refused, Err(DynamoError::OtherTable { .. })));
}

#[tokio::test]
async fn sequence_numbers_are_found_without_a_scan() {
    let dynamo = LocalDynamo::start(None, &table()).await.unwrap();
    let connection = open_beside(dynamo.path()).unwrap();
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        INSERT INTO _stream_records (table_name, event_name, keys_json, sequence_number, shard_id, created_at)
        SELECT 'StockTable', 'INSERT', '{}', CAST(i AS TEXT), 's', 0 FROM n";
    connection.execute_batch(many).unwrap();
    // The statements that dynoxide runs at each write and at each read of the stream.
    for statement in [
        "SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 FROM _stream_records WHERE table_name = ?1",
        "SELECT CAST(sequence_number AS INTEGER) + 1 FROM _stream_records
         WHERE table_name = ?1 AND shard_id = 's' AND CAST(sequence_number AS INTEGER) > 4999
         ORDER BY CAST(sequence_number AS INTEGER) ASC LIMIT 100",
    ] {
        let mut statement = connection.prepare(statement).unwrap();
        let next: i64 = statement.query_row(["StockTable"], |row| row.get(0)).unwrap();
        assert_eq!(next, 5001);
        assert!(statement.get_status(StatementStatus::VmStep) < 100);
    }
}
