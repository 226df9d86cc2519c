//! What changes of stock and reservations are announced as. Pure: the same change gives the same announcements.

use evenstock_domain::{EventType, FeedEvent, OrganizationId, Quantity, Reservation, ReservationState};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{Announcement, FeedEventBody};

/// Announces a change of stock: that it changed; that it fell to the threshold or below; that more was sold than was
/// there. The last two only when this very change crossed the line.
pub fn announce_change(
    organization: &OrganizationId,
    event: &FeedEvent,
    low_stock: Option<Quantity>,
) -> Vec<Announcement> {
    let (before, after) = (event.change.quantity.saturating_sub(event.change.delta), event.change.quantity);
    let crossed_below = |least: i64| before >= least && after < least;
    let low = low_stock.is_some_and(|threshold| crossed_below(threshold.get().saturating_add(1)));
    let happened =
        [(EventType::StockChanged, true), (EventType::StockLow, low), (EventType::StockOversold, crossed_below(0))];
    let announce = |(kind, _)| {
        // The level and its version identify a change, for ever.
        let version = event.change.version.to_string();
        let what = [organization.as_str(), event.change.sku.as_str(), event.change.location.as_str(), &version];
        Announcement {
            event_id: event_id(kind, &what),
            event: kind,
            time: event.change.at,
            organization: organization.clone(),
            store: None,
            data: json!(FeedEventBody::from(event)),
        }
    };
    happened.into_iter().filter(|(_, happened)| *happened).map(announce).collect()
}

/// Announces a reservation that ran out; nothing for any other.
pub fn announce_reservation(reservation: &Reservation) -> Option<Announcement> {
    let settled_at = reservation.settled_at.filter(|_| reservation.state == ReservationState::Expired)?;
    let attempt = reservation.attempt.to_string();
    let what = [reservation.organization.as_str(), reservation.id.as_str(), &attempt];
    let line = |line: &evenstock_domain::Line| json!({ "sku": line.sku.as_str(), "storeId": line.location.as_str(), "qty": line.units });
    let data = json!({
        "reservationId": reservation.id.as_str(),
        "orderId": reservation.order_id.as_ref().map(|order| order.as_str()),
        "expiresAt": reservation.expires_at.to_string(),
        "lines": reservation.lines.iter().map(line).collect::<Vec<_>>(),
    });
    Some(Announcement {
        event_id: event_id(EventType::ReservationExpired, &what),
        event: EventType::ReservationExpired,
        time: settled_at,
        organization: reservation.organization.clone(),
        store: None,
        data,
    })
}

/// A name that can stand in a header, whatever the names hold that it is made of.
fn event_id(event: EventType, what: &[&str]) -> String {
    let mut hash = Sha256::new().chain_update(event.as_str());
    for part in what {
        // Names hold no control characters: they cannot run into each other.
        hash.update([0]);
        hash.update(part);
    }
    format!("evt_{}", hex::encode(hash.finalize().get(..16).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use evenstock_domain::{
        ActorCode, Change, ChangeType, EventId, Line, LocationId, ReservationId, Sku, Source, Timestamp, Transition,
    };
    use rstest::rstest;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis).unwrap()
    }

    fn us() -> OrganizationId {
        OrganizationId::parse("us 🦀").unwrap()
    }

    fn change(delta: i64, quantity: i64) -> FeedEvent {
        let change = Change {
            sku: Sku::parse("SKU-1").unwrap(),
            location: LocationId::parse("main").unwrap(),
            version: 7,
            kind: ChangeType::StockDecreased,
            delta,
            quantity,
            reserved: 1,
            source: Source::api(),
            event_id: EventId([1; 8]),
            at: at(0),
        };
        FeedEvent { seq: 42, change }
    }

    fn kinds(delta: i64, quantity: i64, low_stock: Option<i64>) -> Vec<&'static str> {
        let low_stock = low_stock.map(|low| Quantity::new(low).unwrap());
        let announced = announce_change(&us(), &change(delta, quantity), low_stock);
        announced.into_iter().map(|announcement| announcement.event.as_str()).collect()
    }

    #[rstest]
    #[case::far_above(-1, 8, &["stock.changed"])]
    #[case::onto_the_threshold(-1, 5, &["stock.changed", "stock.low"])]
    #[case::over_the_threshold(-4, 3, &["stock.changed", "stock.low"])]
    #[case::already_below(-1, 4, &["stock.changed"])]
    #[case::from_the_threshold(-1, 4, &["stock.changed"])]
    #[case::upwards(3, 6, &["stock.changed"])]
    #[case::upwards_below(1, 3, &["stock.changed"])]
    #[case::nothing_available(0, 5, &["stock.changed"])]
    #[case::oversold_at_once(-9, -1, &["stock.changed", "stock.low", "stock.oversold"])]
    #[case::to_nothing(-3, 0, &["stock.changed"])]
    #[case::below_nothing(-1, -1, &["stock.changed", "stock.oversold"])]
    #[case::further_below(-1, -2, &["stock.changed"])]
    fn each_line_is_announced_when_it_is_crossed(#[case] delta: i64, #[case] after: i64, #[case] expected: &[&str]) {
        assert_eq!(kinds(delta, after, Some(5)), expected);
    }

    #[test]
    fn without_a_threshold_nothing_is_low() {
        assert_eq!(kinds(-9, 0, None), ["stock.changed"]);
    }

    #[test]
    fn change_has_one_id_for_ever_and_each_announcement_its_own() {
        let first = announce_change(&us(), &change(-9, -1), Quantity::new(5).ok());
        assert_eq!(first, announce_change(&us(), &change(-9, -1), Quantity::new(5).ok()));
        let mut ids: Vec<_> = first.iter().map(|announcement| announcement.event_id.clone()).collect();
        assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')));
        ids.dedup();
        assert_eq!(ids.len(), 3);
        assert_eq!((&first[0].data["seq"], &first[0].data["newVersion"]), (&42.into(), &7.into()));
        let renumbered = FeedEvent { seq: 43, ..change(-9, -1) };
        assert_eq!(announce_change(&us(), &renumbered, None)[0].event_id, first[0].event_id);
    }

    #[test]
    fn only_expired_reservations_are_announced() {
        let id = ReservationId::parse("r").unwrap();
        let line = Line { sku: Sku::parse("a").unwrap(), location: LocationId::parse("b").unwrap(), units: 2 };
        let pending = Reservation::begin(us(), id, None, vec![line], at(0), 60, ActorCode(1));
        let moved = |transition| match transition {
            Transition::Moved(next) => *next,
            other => panic!("{other:?}"),
        };
        let held = moved(pending.hold(at(1)));
        let released = moved(held.release(at(2), ActorCode(1)));
        for reservation in [&pending, &held, &released] {
            assert_eq!(announce_reservation(reservation), None);
        }
        let announced = announce_reservation(&moved(held.expire(at(61_000)))).unwrap();
        assert_eq!((announced.event, announced.time), (EventType::ReservationExpired, at(61_000)));
        assert_eq!(announced.data["lines"][0]["qty"], 2);
    }
}
