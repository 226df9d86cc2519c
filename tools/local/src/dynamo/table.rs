//! The template's table, in the terms of dynoxide.

use std::path::Path;

use dynoxide::actions::create_table::{CreateTableRequest, StreamSpecification};
use dynoxide::actions::describe_table::DescribeTableRequest;
use dynoxide::actions::update_time_to_live::{TimeToLiveSpecification, UpdateTimeToLiveRequest};
use dynoxide::types::{
    AttributeDefinition, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};
use dynoxide::{Database, DynoxideError};

use super::DynamoError;
use crate::template::{AttributeKind, KeyAttribute, Keys, TableSettings};

/// Creates the table if it is absent, and refuses one of another shape.
pub(super) fn ensure(database: &Database, path: &Path, table: &TableSettings) -> Result<(), DynamoError> {
    match database.describe_table(DescribeTableRequest { table_name: table.name.clone() }) {
        Ok(found) => {
            let found = found.table;
            let indexes = found.global_secondary_indexes.unwrap_or_default();
            let indexes: Vec<_> = indexes.into_iter().map(|index| (index.index_name, index.key_schema)).collect();
            let wanted = table.indexes.iter().map(|index| (index.name.clone(), key_schema(&index.keys)));
            let same = found.key_schema == key_schema(&table.keys)
                && indexes == wanted.collect::<Vec<_>>()
                && found.stream_specification.is_some_and(|stream| stream.stream_enabled) == table.stream;
            if !same {
                return Err(DynamoError::OtherTable { path: path.to_owned(), table: table.name.clone() });
            }
        }
        Err(DynoxideError::ResourceNotFoundException(_)) => {
            database.create_table(creation(table))?;
        }
        Err(error) => return Err(error.into()),
    }
    if let Some(attribute) = &table.ttl_attribute {
        let specification = TimeToLiveSpecification { attribute_name: attribute.clone(), enabled: true };
        database.update_time_to_live(UpdateTimeToLiveRequest {
            table_name: table.name.clone(),
            time_to_live_specification: specification,
        })?;
    }
    Ok(())
}

fn creation(table: &TableSettings) -> CreateTableRequest {
    let indexes = table.indexes.iter().map(|index| GlobalSecondaryIndex {
        index_name: index.name.clone(),
        key_schema: key_schema(&index.keys),
        projection: Projection { projection_type: Some(ProjectionType::KEYS_ONLY), ..Projection::default() },
        provisioned_throughput: None,
    });
    let indexes: Vec<_> = indexes.collect();
    CreateTableRequest {
        table_name: table.name.clone(),
        key_schema: key_schema(&table.keys),
        attribute_definitions: attribute_definitions(table),
        global_secondary_indexes: (!indexes.is_empty()).then_some(indexes),
        billing_mode: Some("PAY_PER_REQUEST".to_owned()),
        stream_specification: table.stream.then(|| StreamSpecification {
            stream_enabled: true,
            stream_view_type: Some("NEW_AND_OLD_IMAGES".to_owned()),
        }),
        ..CreateTableRequest::default()
    }
}

fn key_schema(keys: &Keys) -> Vec<KeySchemaElement> {
    let element =
        |attribute: &KeyAttribute, key_type| KeySchemaElement { attribute_name: attribute.name.clone(), key_type };
    let range = keys.range.as_ref().map(|range| element(range, KeyType::RANGE));
    std::iter::once(element(&keys.hash, KeyType::HASH)).chain(range).collect()
}

/// Each attribute of any key once.
fn attribute_definitions(table: &TableSettings) -> Vec<AttributeDefinition> {
    let keys = std::iter::once(&table.keys).chain(table.indexes.iter().map(|index| &index.keys));
    let mut definitions: Vec<AttributeDefinition> = Vec::new();
    for attribute in keys.flat_map(|keys| std::iter::once(&keys.hash).chain(&keys.range)) {
        if definitions.iter().all(|known| known.attribute_name != attribute.name) {
            let attribute_type = match attribute.kind {
                AttributeKind::Text => ScalarAttributeType::S,
                AttributeKind::Number => ScalarAttributeType::N,
                AttributeKind::Binary => ScalarAttributeType::B,
            };
            definitions.push(AttributeDefinition { attribute_name: attribute.name.clone(), attribute_type });
        }
    }
    definitions
}
