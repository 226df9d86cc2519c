//! The table and the queues of the template.

use super::node::Node;
use super::{AttributeKind, IndexSettings, KeyAttribute, Keys, TableSettings, TemplateError};
use crate::queue::{QueueSettings, Redrive};

/// What SQS takes for a queue that does not say, in seconds.
const VISIBILITY_DEFAULT_S: i64 = 30;
const RETENTION_DEFAULT_S: i64 = 4 * 24 * 60 * 60;

/// Properties that make no difference in a local run: names, encryption, backups, billing, who may do what.
const TABLE_DEPLOYED_ONLY: [&str; 4] =
    ["BillingMode", "DeletionProtectionEnabled", "PointInTimeRecoverySpecification", "SSESpecification"];
const QUEUE_DEPLOYED_ONLY: [&str; 3] = ["QueueName", "RedriveAllowPolicy", "SqsManagedSseEnabled"];

pub(super) fn table(name: &str, resource: &Node<'_>) -> Result<TableSettings, TemplateError> {
    let properties = resource.need("Properties")?;
    let read = [
        "AttributeDefinitions",
        "GlobalSecondaryIndexes",
        "KeySchema",
        "StreamSpecification",
        "TimeToLiveSpecification",
    ];
    properties.only(&[&read[..], &TABLE_DEPLOYED_ONLY].concat())?;
    let attributes = properties.need("AttributeDefinitions")?.list()?;
    let attributes = attributes.iter().map(key_attribute).collect::<Result<Vec<_>, _>>()?;
    let indexes = properties.get("GlobalSecondaryIndexes").map(|indexes| indexes.list()).transpose()?;
    let indexes = indexes.unwrap_or_default();
    Ok(TableSettings {
        name: name.to_owned(),
        keys: keys(&properties, &attributes)?,
        indexes: indexes.iter().map(|found| index(found, &attributes)).collect::<Result<_, _>>()?,
        ttl_attribute: properties.get("TimeToLiveSpecification").map(|ttl| ttl_attribute(&ttl)).transpose()?,
        stream: properties.get("StreamSpecification").map(|stream| check_images(&stream)).transpose()?.is_some(),
    })
}

fn key_attribute(definition: &Node<'_>) -> Result<KeyAttribute, TemplateError> {
    let kind = definition.need("AttributeType")?;
    let kind = match kind.text()?.as_str() {
        "S" => AttributeKind::Text,
        "N" => AttributeKind::Number,
        "B" => AttributeKind::Binary,
        _ => return Err(kind.wrong("must be S, N or B")),
    };
    Ok(KeyAttribute { name: definition.need("AttributeName")?.text()?, kind })
}

fn keys(owner: &Node<'_>, attributes: &[KeyAttribute]) -> Result<Keys, TemplateError> {
    let schema = owner.need("KeySchema")?;
    let (mut hash, mut range) = (None, None);
    for element in schema.list()? {
        let name = element.need("AttributeName")?;
        let text = name.text()?;
        let attribute = attributes.iter().find(|attribute| attribute.name == text).cloned();
        let attribute = attribute.ok_or_else(|| name.wrong("is not among AttributeDefinitions"))?;
        let kind = element.need("KeyType")?;
        match kind.text()?.as_str() {
            "HASH" => hash = Some(attribute),
            "RANGE" => range = Some(attribute),
            _ => return Err(kind.wrong("must be HASH or RANGE")),
        }
    }
    Ok(Keys { hash: hash.ok_or_else(|| schema.wrong("lacks a HASH key"))?, range })
}

fn index(index: &Node<'_>, attributes: &[KeyAttribute]) -> Result<IndexSettings, TemplateError> {
    index.only(&["IndexName", "KeySchema", "Projection"])?;
    let projection = index.need("Projection")?.need("ProjectionType")?;
    if projection.text()? != "KEYS_ONLY" {
        return Err(projection.wrong("must be KEYS_ONLY"));
    }
    Ok(IndexSettings { name: index.need("IndexName")?.text()?, keys: keys(index, attributes)? })
}

fn ttl_attribute(specification: &Node<'_>) -> Result<String, TemplateError> {
    let enabled = specification.need("Enabled")?;
    if enabled.text()? != "true" {
        return Err(enabled.wrong("must be true, or the whole specification left out"));
    }
    specification.need("AttributeName")?.text()
}

fn check_images(specification: &Node<'_>) -> Result<(), TemplateError> {
    let view = specification.need("StreamViewType")?;
    if view.text()? != "NEW_AND_OLD_IMAGES" {
        return Err(view.wrong("must be NEW_AND_OLD_IMAGES"));
    }
    Ok(())
}

pub(super) fn queue(name: &str, resource: &Node<'_>) -> Result<QueueSettings, TemplateError> {
    let properties = resource.need("Properties")?;
    let read = ["MessageRetentionPeriod", "RedrivePolicy", "VisibilityTimeout"];
    properties.only(&[&read[..], &QUEUE_DEPLOYED_ONLY].concat())?;
    Ok(QueueSettings {
        name: name.to_owned(),
        visibility_ms: milliseconds(&properties, "VisibilityTimeout", VISIBILITY_DEFAULT_S)?,
        retention_ms: milliseconds(&properties, "MessageRetentionPeriod", RETENTION_DEFAULT_S)?,
        redrive: properties.get("RedrivePolicy").map(|policy| redrive(&policy)).transpose()?,
    })
}

fn milliseconds(properties: &Node<'_>, name: &str, default_s: i64) -> Result<i64, TemplateError> {
    let seconds = properties.get(name).map(|seconds| seconds.number::<u32>()).transpose()?;
    Ok(seconds.map_or(default_s, i64::from) * 1000)
}

fn redrive(policy: &Node<'_>) -> Result<Redrive, TemplateError> {
    policy.only(&["deadLetterTargetArn", "maxReceiveCount"])?;
    Ok(Redrive {
        dead_letter: policy.need("deadLetterTargetArn")?.resource("Arn")?,
        receives_max: policy.need("maxReceiveCount")?.number()?,
    })
}
