//! The audit log: one partition an organization, by time. Entries are put once, never changed, and never expire.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use evenstock_app::{AdminAction, AuditEntry, AuditLog, AuditPage, AuditPosition, StoreError};
use evenstock_domain::{OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::errors::{corrupt, store_error};
use crate::keys;
use crate::level_item::item_name;
use crate::revision::ABSENT;
use crate::table::{Attributes, DynamoStore, conditional, text, to_attributes};

#[derive(Debug, Serialize, Deserialize)]
struct AuditItem {
    pk: String,
    sk: String,
    /// Organization.
    og: String,
    /// Operation.
    id: String,
    /// When, milliseconds.
    t: i64,
    /// Action.
    ac: String,
    /// Id of the key that asked.
    by: String,
    /// Id of what it was done to.
    tg: String,
    /// For people.
    ab: String,
}

impl AuditLog for DynamoStore {
    async fn append_audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let item = AuditItem {
            pk: keys::audit_log(&entry.organization),
            sk: keys::audit_entry(entry.at, &entry.id),
            og: entry.organization.to_string(),
            id: entry.id.clone(),
            t: entry.at.as_millis(),
            ac: entry.action.as_str().to_owned(),
            by: entry.actor.clone(),
            tg: entry.target.clone(),
            ab: entry.about.clone(),
        };
        let put = self.client.put_item().table_name(&self.table).set_item(Some(to_attributes(&item)?));
        let put = put.condition_expression(ABSENT);
        conditional!(put.send().await, PutItemError::ConditionalCheckFailedException).map(|_| ())
    }

    async fn audit(
        &self,
        organization: &OrganizationId,
        after: Option<&AuditPosition>,
        limit: u32,
    ) -> Result<AuditPage, StoreError> {
        // Everything sorts below the tilde.
        let before = after.map_or_else(|| "A#~".to_owned(), |after| keys::audit_entry(after.at, &after.id));
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk < :before")
            .expression_attribute_values(":pk", text(keys::audit_log(organization)))
            .expression_attribute_values(":before", text(before))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let page = query.send().await.map_err(store_error)?;
        let more = page.last_evaluated_key.is_some();
        let entries: Vec<_> = page.items.unwrap_or_default().into_iter().map(read).collect::<Result<_, _>>()?;
        let last = entries.last().filter(|_| more);
        let next = last.map(|entry| AuditPosition { at: entry.at, id: entry.id.clone() });
        Ok(AuditPage { entries, next })
    }
}

fn read(attributes: Attributes) -> Result<AuditEntry, StoreError> {
    let name = item_name(&attributes);
    let item: AuditItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    let entry = || {
        Some(AuditEntry {
            organization: OrganizationId::parse(&item.og).ok()?,
            at: Timestamp::from_millis(item.t).ok()?,
            action: AdminAction::parse(&item.ac)?,
            id: item.id.clone(),
            actor: item.by.clone(),
            target: item.tg.clone(),
            about: item.ab.clone(),
        })
    };
    entry().ok_or_else(|| corrupt(name, "not an entry of the audit log"))
}
