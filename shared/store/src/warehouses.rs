//! Warehouses: one item each, found by name, and an organization's through the index.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use evenstock_app::{KeyChange, StoreError, Warehouse, WarehousePage, WarehouseSettings, WarehouseStore};
use evenstock_domain::{LocationId, OrganizationId, Timestamp};

use crate::errors::{corrupt, store_error};
use crate::keys::{self, DUE};
use crate::level_item::item_name;
use crate::table::{Attributes, DynamoStore, conditional, number, text};
use crate::warehouse_item::read_warehouse;

/// Nobody claimed it, or this organization did.
const OURS: &str = "attribute_not_exists(pk) OR og = :og";

impl WarehouseStore for DynamoStore {
    async fn load_warehouse(&self, id: &LocationId) -> Result<Option<Warehouse>, StoreError> {
        self.get(&keys::warehouse(id)).await?.map(read_warehouse).transpose()
    }

    async fn set_up_warehouse(&self, settings: &WarehouseSettings) -> Result<Option<Warehouse>, StoreError> {
        let changes = "SET og = :og, ep = :ep, po = :po, ua = :at, dt = if_not_exists(dt, :at), d = :d";
        let (changes, sealed) = match &settings.api_key {
            KeyChange::Keep => (changes.to_owned(), None),
            KeyChange::Set(sealed) => (format!("{changes}, ky = :ky"), Some(text(sealed.as_str()))),
            KeyChange::Remove => (format!("{changes} REMOVE ky"), None),
        };
        let mut update = self
            .update(keys::warehouse(&settings.id))
            .update_expression(changes)
            .condition_expression(OURS)
            .expression_attribute_values(":og", text(settings.organization.as_str()))
            .expression_attribute_values(":ep", text(&settings.endpoint))
            .expression_attribute_values(":po", text(settings.policy.as_str()))
            .expression_attribute_values(":at", number(settings.at.as_millis()))
            .expression_attribute_values(":d", text(keys::warehouses_of(&settings.organization)))
            .return_values(ReturnValue::AllNew);
        if let Some(sealed) = sealed {
            update = update.expression_attribute_values(":ky", sealed);
        }
        match conditional!(update.send().await, UpdateItemError::ConditionalCheckFailedException)? {
            Ok(done) => read_warehouse(done.attributes.unwrap_or_default()).map(Some),
            Err(_) => Ok(None),
        }
    }

    async fn warehouses_of(
        &self,
        organization: &OrganizationId,
        after: Option<(Timestamp, &LocationId)>,
        limit: u32,
    ) -> Result<WarehousePage, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(DUE)
            .key_condition_expression("d = :d")
            .expression_attribute_values(":d", text(keys::warehouses_of(organization)))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|after| start_key(organization, after)));
        let page = query.send().await.map_err(store_error)?;
        let mut warehouses = Vec::new();
        for attributes in page.items.unwrap_or_default() {
            let id = listed_id(&attributes)?;
            // The index lags: what it lists is read afresh, and may belong to it no more.
            let warehouse = self.load_warehouse(&id).await?;
            warehouses.extend(warehouse.filter(|warehouse| warehouse.organization == *organization));
        }
        Ok(WarehousePage { warehouses, more: page.last_evaluated_key.is_some() })
    }
}

fn listed_id(attributes: &Attributes) -> Result<LocationId, StoreError> {
    let pk = attributes.get("pk").and_then(|value: &AttributeValue| value.as_s().ok());
    pk.and_then(|pk| keys::parse_warehouse(pk)).ok_or_else(|| corrupt(item_name(attributes), "not a warehouse's key"))
}

fn start_key(organization: &OrganizationId, (claimed_at, id): (Timestamp, &LocationId)) -> Attributes {
    let key = keys::warehouse(id);
    HashMap::from([
        ("pk".to_owned(), text(key.pk)),
        ("sk".to_owned(), text(key.sk)),
        ("d".to_owned(), text(keys::warehouses_of(organization))),
        ("dt".to_owned(), number(claimed_at.as_millis())),
    ])
}
