//! The port of reservations.

use core::future::Future;

use evenstock_domain::{OrganizationId, Reservation, ReservationId, Timestamp};

use crate::StoreError;

/// A reservation as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReservation {
    /// Counts every write: the optimistic lock.
    pub rev: u64,
    /// The reservation.
    pub reservation: Reservation,
}

/// What became of a conditional write of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReservationWrite {
    /// It is durable.
    Saved,
    /// Another writer was faster. Carries what stands there now.
    Conflict(Option<StoredReservation>),
}

/// A reservation that somebody must look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueReservation {
    /// The tenant.
    pub organization: OrganizationId,
    /// Its name.
    pub id: ReservationId,
    /// Since when.
    pub due_at: Timestamp,
}

/// A page of due reservations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DuePage {
    /// Reservations, longest due first.
    pub due: Vec<DueReservation>,
    /// Whether there may be more behind the last of them.
    pub more: bool,
}

/// Reservations, one item each.
pub trait ReservationStore: Send + Sync {
    /// Reads a reservation as the last completed write left it. `None` when it does not exist.
    fn load_reservation(
        &self,
        organization: &OrganizationId,
        id: &ReservationId,
    ) -> impl Future<Output = Result<Option<StoredReservation>, StoreError>> + Send;

    /// Writes a reservation if its `rev` is still `expected` (`None`: if it does not exist).
    fn save_reservation(
        &self,
        expected: Option<u64>,
        reservation: &Reservation,
    ) -> impl Future<Output = Result<ReservationWrite, StoreError>> + Send;

    /// Lists reservations of a group that were due at `now`, at most `limit` behind `after`. What was written a moment
    /// ago may be missing, or still be listed.
    fn due_reservations(
        &self,
        bucket: u8,
        now: Timestamp,
        limit: u32,
        after: Option<&DueReservation>,
    ) -> impl Future<Output = Result<DuePage, StoreError>> + Send;
}
