//! The end of a reservation on a level that does not take it.

use evenstock_app::{
    Clock, ReservationDeps, Reserve, ReserveResult, Settlement, StoreError, reserve, settle_reservation,
};
use evenstock_domain::{ActorCode, Line, ReservationId, StockEvent, Transition};

use crate::stage::{Stage, delta, key, organization};

/// Something else stands under the name of its release, which no rule allows: told as done, nobody would look again.
#[tokio::test]
async fn release_that_its_level_refuses_is_a_failure() {
    let (stage, shirt) = (Stage::new(), key("SHIRT", "main"));
    stage.apply(&shirt, &[stage.event("first", "till", delta(5))]).await;
    let asked = Reserve {
        organization: organization(),
        order_id: None,
        lines: vec![Line { sku: shirt.sku.clone(), location: shirt.location.clone(), units: 2 }],
        ttl_seconds: 60,
        expected_version: None,
        idempotency: None,
        new_id: ReservationId::parse("r").unwrap(),
        actor: ActorCode(1),
    };
    let deps = ReservationDeps { store: &stage.store, clock: &stage.clock, ids: &stage.ids };
    let ReserveResult::Reserved { reservation, .. } = reserve(deps, &asked).await.unwrap() else {
        panic!("there are five");
    };
    let Transition::Moved(released) = reservation.release(stage.clock.now(), ActorCode(1)) else {
        panic!("it is held");
    };
    let (_, release) = released.settlements(&stage.ids).remove(0);
    stage.apply(&shirt, &[StockEvent { id: release.id, ..stage.event("other", "till", delta(1)) }]).await;
    let released = settle_reservation(deps, &organization(), &reservation.id, Settlement::Release, ActorCode(1)).await;
    assert!(matches!(released, Err(StoreError::Corrupt { .. })), "{released:?}");
    assert_eq!(stage.level(&shirt).await.map(|level| (level.available, level.reserved)), Some((4, 2)));
}
