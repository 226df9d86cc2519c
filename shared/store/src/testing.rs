//! Items as the table's stream shows them, for tests that play the stream. Only with the feature `testing`.

use evenstock_app::{StoreError, Stored, StoredReceipt, StoredReservation, StoredStore};
use evenstock_domain::LevelKey;
use serde::Serialize;

use crate::errors::refused;
use crate::level_item::LevelItem;
use crate::receipt_item::ReceiptItem;
use crate::reservation_item::ReservationItem;
use crate::store_item::StoreItem;

/// An item that somebody follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// A level.
    Level(LevelKey, Stored),
    /// A reservation.
    Reservation(StoredReservation),
    /// A receipt.
    Receipt(StoredReceipt),
    /// A marketplace store.
    Store(StoredStore),
}

/// The item's image.
///
/// # Errors
/// [`StoreError::Refused`] when it cannot be written as an item.
pub fn stream_image(item: &Followed) -> Result<serde_dynamo::Item, StoreError> {
    match item {
        Followed::Level(key, Stored { rev, level }) => image(&LevelItem::new(key, *rev, level)),
        Followed::Reservation(stored) => image(&ReservationItem::new(stored.rev, &stored.reservation)),
        Followed::Receipt(stored) => image(&ReceiptItem::new(stored.rev, &stored.receipt)),
        Followed::Store(stored) => image(&StoreItem::new(stored.rev, &stored.store)),
    }
}

fn image<T: Serialize>(item: &T) -> Result<serde_dynamo::Item, StoreError> {
    serde_dynamo::to_item(item).map_err(refused)
}
