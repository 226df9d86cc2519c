//! Reservations: one item each, and the index of those that are due.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use evenstock_app::{DuePage, DueReservation, ReservationStore, ReservationWrite, StoreError, StoredReservation};
use evenstock_domain::{OrganizationId, Reservation, ReservationId, Timestamp};

use crate::errors::{corrupt, store_error};
use crate::keys::{self, DUE};
use crate::level_item::item_name;
use crate::reservation_item::{ReservationItem, read};
use crate::table::{Attributes, DynamoStore, conditional, number, text, to_attributes};

/// Nobody wrote the reservation since it was read.
const UNCHANGED: &str = "rv = :rev";

/// Nobody created the reservation.
const ABSENT: &str = "attribute_not_exists(pk)";

impl ReservationStore for DynamoStore {
    async fn load_reservation(
        &self,
        organization: &OrganizationId,
        id: &ReservationId,
    ) -> Result<Option<StoredReservation>, StoreError> {
        self.get(&keys::reservation(organization, id)).await?.map(read).transpose()
    }

    async fn save_reservation(
        &self,
        expected: Option<u64>,
        reservation: &Reservation,
    ) -> Result<ReservationWrite, StoreError> {
        let rev = expected.map_or(1, |rev| rev.saturating_add(1));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(&ReservationItem::new(rev, reservation))?))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match expected {
            None => put.condition_expression(ABSENT),
            Some(rev) => put.condition_expression(UNCHANGED).expression_attribute_values(":rev", number(rev)),
        };
        match conditional!(put.send().await, PutItemError::ConditionalCheckFailedException)? {
            Ok(_) => Ok(ReservationWrite::Saved),
            Err(current) => Ok(ReservationWrite::Conflict(current.map(read).transpose()?)),
        }
    }

    async fn due_reservations(
        &self,
        bucket: u8,
        now: Timestamp,
        limit: u32,
        after: Option<&DueReservation>,
    ) -> Result<DuePage, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(DUE)
            .key_condition_expression("d = :bucket AND dt <= :now")
            .expression_attribute_values(":bucket", text(keys::due_reservations(bucket)))
            .expression_attribute_values(":now", number(now.as_millis()))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|after| start_key(bucket, after)));
        let page = query.send().await.map_err(store_error)?;
        let due = page.items.unwrap_or_default().iter().map(due_reservation).collect::<Result<_, _>>()?;
        Ok(DuePage { due, more: page.last_evaluated_key.is_some() })
    }
}

fn start_key(bucket: u8, after: &DueReservation) -> Attributes {
    let key = keys::reservation(&after.organization, &after.id);
    HashMap::from([
        ("pk".to_owned(), text(key.pk)),
        ("sk".to_owned(), text(key.sk)),
        ("d".to_owned(), text(keys::due_reservations(bucket))),
        ("dt".to_owned(), number(after.due_at.as_millis())),
    ])
}

fn due_reservation(attributes: &Attributes) -> Result<DueReservation, StoreError> {
    let part = |name| attributes.get(name).and_then(|value: &AttributeValue| value.as_s().ok());
    let due_at = attributes.get("dt").and_then(|value| value.as_n().ok()).and_then(|millis| millis.parse().ok());
    let read = || {
        let (organization, id) = keys::parse_reservation(part("pk")?, part("sk")?)?;
        Some(DueReservation { organization, id, due_at: Timestamp::from_millis(due_at?).ok()? })
    };
    read().ok_or_else(|| corrupt(item_name(attributes), "not a due reservation"))
}
