//! Reservations: one item each, and the index of those that are due.

use evenstock_app::{DuePage, DueReservation, ReservationStore, ReservationWrite, StoreError, StoredReservation};
use evenstock_domain::{OrganizationId, Reservation, ReservationId, Timestamp};

use crate::due::read_due;
use crate::errors::store_error;
use crate::keys;
use crate::reservation_item::{ReservationItem, read};
use crate::revision::following;
use crate::table::{Attributes, DynamoStore};

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
        let item = ReservationItem::new(following(expected), reservation);
        match self.put_over(expected, &item).await? {
            Ok(()) => Ok(ReservationWrite::Saved),
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
        let after = after.map(|after| (after.due_at, keys::reservation(&after.organization, &after.id)));
        let query = self.query_due(keys::due_reservations(bucket), now, limit, after);
        let page = query.send().await.map_err(store_error)?;
        let due = page.items.unwrap_or_default().iter().map(due_reservation).collect::<Result<_, _>>()?;
        Ok(DuePage { due, more: page.last_evaluated_key.is_some() })
    }
}

fn due_reservation(row: &Attributes) -> Result<DueReservation, StoreError> {
    let ((organization, id), due_at) = read_due(row, keys::parse_reservation)?;
    Ok(DueReservation { organization, id, due_at })
}
