//! Deltas that somebody lets in although they are older than is taken otherwise.

use super::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn aged(days: i64, forced: bool) -> StockEvent {
    let units = Delta::new(-2).unwrap();
    let body = if forced { EventBody::ForcedDelta(units) } else { EventBody::Delta(units) };
    event("old", Timestamp::from_millis(NOW - days * DAY_MS).unwrap(), "orders", body)
}

#[test]
fn old_delta_is_applied_once_when_it_is_forced() {
    let mut ledger = Ledger::new();
    ledger.one(delta("stock", 0, 10));
    assert_eq!(ledger.one(aged(16, false)), Outcome::Rejected(Rejection::TooOld));
    assert_eq!(ledger.one(aged(16, true)), Outcome::Applied);
    assert_eq!(ledger.level.available, 8);
    for forced in [true, false] {
        assert_eq!(ledger.one(aged(16, forced)), Outcome::Duplicate, "the same fact, however it is let in");
    }
    // Its entry leaves the level; its repetition is recognized all the same.
    for n in 0..40 {
        ledger.one(delta(&format!("later {n}"), n, 1));
    }
    assert!(ledger.level.recent.iter().all(|entry| entry.time > aged(16, true).time));
    for forced in [true, false] {
        assert_eq!(ledger.one(aged(16, forced)), Outcome::Duplicate);
    }
    assert_eq!(ledger.level.available, 48);
}

#[test]
fn force_overrules_nothing_but_age() {
    let mut ledger = Ledger::new();
    ledger.one(count("count", 0, 10, Means::Available));
    assert_eq!(ledger.one(aged(16, true)), Outcome::Absorbed, "the count contains it");
    let ahead = StockEvent { time: Timestamp::from_millis(NOW + 300_000).unwrap(), ..aged(0, true) };
    assert_eq!(ledger.one(ahead), Outcome::Rejected(Rejection::AheadOfClock));
    ledger.one(event("reused", at(5), "orders", EventBody::Delta(Delta::new(1).unwrap())));
    let reused = event("reused", at(5), "orders", EventBody::ForcedDelta(Delta::new(2).unwrap()));
    assert_eq!(ledger.one(reused), Outcome::Rejected(Rejection::IdReused));
}
