//! Endpoints, deliveries and their log.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use evenstock_app::{Arrival, Arrivals, CallbackStore, DeliveryPage, DueDelivery, Listed, StoreError, StoredDelivery};
use evenstock_domain::{Delivery, DeliveryId, EndpointHealth, EndpointId, OrganizationId, Registry, Timestamp};

use crate::callback_item::{ArrivalsItem, DeliveryItem, read_arrivals, read_delivery};
use crate::due::read_due;
use crate::endpoint_item::{HealthItem, RegistryItem, read_health, read_registry};
use crate::errors::store_error;
use crate::keys::{self, ARRIVALS_PREFIX, DELIVERY_PREFIX};
use crate::revision::following;
use crate::table::{Attributes, DynamoStore, conditional, number, text};

/// The delivery still waits, and nobody looked after it since it was listed. `rev` stays: who is at work on it may
/// finish.
const STILL_DUE: &str = "dt = :seen";

/// How far the clock of whoever wrote an arrival down may be behind that of the event, in milliseconds.
const CLOCKS_DIFFER_MS: i64 = 10_000;

/// Entries of one page in which an arrival is looked for, and such pages at most: ten thousand deliveries in full batches.
const FIND_PAGE: u32 = 250;
const FIND_PAGES_MAX: u32 = 4;

impl CallbackStore for DynamoStore {
    async fn load_registry(&self, organization: &OrganizationId) -> Result<(Option<u64>, Registry), StoreError> {
        match self.get(&keys::callback_registry(organization)).await? {
            Some(item) => read_registry(item).map(|(rev, registry)| (Some(rev), registry)),
            None => Ok((None, Registry::empty(organization.clone()))),
        }
    }

    async fn save_registry(&self, expected: Option<u64>, registry: &Registry) -> Result<bool, StoreError> {
        Ok(self.put_over(expected, &RegistryItem::new(following(expected), registry)).await?.is_ok())
    }

    async fn load_health(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
    ) -> Result<(Option<u64>, EndpointHealth), StoreError> {
        match self.get(&keys::endpoint_health(organization, endpoint)).await? {
            Some(item) => read_health(item).map(|(rev, health)| (Some(rev), health)),
            None => Ok((None, EndpointHealth::default())),
        }
    }

    async fn save_health(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
        expected: Option<u64>,
        health: &EndpointHealth,
    ) -> Result<bool, StoreError> {
        Ok(self
            .put_over(expected, &HealthItem::new(organization, endpoint, following(expected), health))
            .await?
            .is_ok())
    }

    async fn load_delivery(
        &self,
        organization: &OrganizationId,
        id: &DeliveryId,
    ) -> Result<Option<StoredDelivery>, StoreError> {
        self.get(&keys::delivery(organization, id)).await?.map(read_delivery).transpose()
    }

    async fn save_delivery(&self, expected: Option<u64>, delivery: &Delivery) -> Result<bool, StoreError> {
        Ok(self.put_over(expected, &DeliveryItem::new(following(expected), delivery)).await?.is_ok())
    }

    async fn log_arrivals(&self, arrivals: &Arrivals) -> Result<(), StoreError> {
        // That it is there already was wanted.
        self.put_over(None, &ArrivalsItem::new(arrivals)).await.map(|_| ())
    }

    async fn find_arrival(
        &self,
        organization: &OrganizationId,
        id: &DeliveryId,
    ) -> Result<Option<Arrival>, StoreError> {
        let pk = keys::endpoint_partition(organization, &id.endpoint);
        let from = keys::arrivals_prefix_from(id.time.plus_millis(-CLOCKS_DIFFER_MS));
        let mut start = None;
        for _ in 0..FIND_PAGES_MAX {
            let range = (from.clone(), format!("{ARRIVALS_PREFIX}~"));
            let query = self.query_endpoint(&pk, range, FIND_PAGE).set_exclusive_start_key(start);
            let page = query.send().await.map_err(store_error)?;
            for item in page.items.unwrap_or_default() {
                if let Some(found) = read_arrivals(item)?.into_iter().find(|arrival| arrival.id == *id) {
                    return Ok(Some(found));
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(None)
    }

    async fn list_deliveries(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<DeliveryPage, StoreError> {
        let pk = keys::endpoint_partition(organization, endpoint);
        let start = after.map(|sk| HashMap::from([("pk".to_owned(), text(&pk)), ("sk".to_owned(), text(sk))]));
        let query = self
            .query_endpoint(&pk, (ARRIVALS_PREFIX.to_owned(), format!("{DELIVERY_PREFIX}~")), limit)
            .scan_index_forward(false)
            .set_exclusive_start_key(start);
        let page = query.send().await.map_err(store_error)?;
        let next = page.last_evaluated_key.and_then(|key| key.get("sk")?.as_s().ok().cloned());
        let read = |item: Attributes| match item.get("sk").and_then(|sk| sk.as_s().ok()) {
            Some(sk) if sk.starts_with(DELIVERY_PREFIX) => {
                read_delivery(item).map(|stored| Listed::Delivery(Box::new(stored.delivery)))
            }
            _ => read_arrivals(item).map(Listed::Arrivals),
        };
        let entries = page.items.unwrap_or_default().into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(DeliveryPage { entries, next })
    }

    async fn deliveries_since(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
        since: Timestamp,
        after: Option<&DeliveryId>,
        limit: u32,
    ) -> Result<(Vec<StoredDelivery>, bool), StoreError> {
        let pk = keys::endpoint_partition(organization, endpoint);
        let start = after.map(|id| {
            let key = keys::delivery(organization, id);
            HashMap::from([("pk".to_owned(), text(key.pk)), ("sk".to_owned(), text(key.sk))])
        });
        let range = (keys::delivery_prefix_from(since), format!("{DELIVERY_PREFIX}~"));
        let query = self.query_endpoint(&pk, range, limit).set_exclusive_start_key(start);
        let page = query.send().await.map_err(store_error)?;
        let more = page.last_evaluated_key.is_some();
        let deliveries = page.items.unwrap_or_default().into_iter().map(read_delivery).collect::<Result<_, _>>()?;
        Ok((deliveries, more))
    }

    async fn due_deliveries(&self, bucket: u8, now: Timestamp, limit: u32) -> Result<Vec<DueDelivery>, StoreError> {
        let query = self.query_due(keys::due_deliveries(bucket), now, limit, None);
        let page = query.send().await.map_err(store_error)?;
        page.items.unwrap_or_default().iter().map(due_delivery).collect()
    }

    async fn postpone(&self, due: &DueDelivery, until: Timestamp) -> Result<bool, StoreError> {
        let update = self
            .update(keys::delivery(&due.organization, &due.id))
            .update_expression("SET dt = :until")
            .condition_expression(STILL_DUE)
            .expression_attribute_values(":until", number(until.as_millis()))
            .expression_attribute_values(":seen", number(due.due_at.as_millis()));
        let moved = conditional!(update.send().await, UpdateItemError::ConditionalCheckFailedException)?;
        Ok(moved.is_ok())
    }
}

impl DynamoStore {
    /// Asks for an endpoint's deliveries, or what arrived at once, or both, between two sort keys.
    fn query_endpoint(&self, pk: &str, (from, end): (String, String), limit: u32) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :end")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":end", text(end))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
    }
}

fn due_delivery(row: &Attributes) -> Result<DueDelivery, StoreError> {
    let ((organization, id), due_at) = read_due(row, keys::parse_delivery)?;
    Ok(DueDelivery { organization, id, due_at })
}
