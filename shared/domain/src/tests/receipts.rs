//! The receipt's state machine: who may ask, what an answer makes of it, when to ask again, and what an order moves.

use rstest::rstest;

use super::*;

const LEASE_MS: i64 = 10_000;

/// Waits of 1, 2, 4, 4, … seconds, and three calls.
const POLICY: RetryPolicy = RetryPolicy { base_ms: 1_000, max_ms: 4_000, calls_max: 3 };

/// Heard of at second 0.
fn fresh() -> Receipt {
    let organization = OrganizationId::parse("org").unwrap();
    let (store, id) = (StoreId::parse("store").unwrap(), ReceiptId::parse("r-1").unwrap());
    Receipt::begin(organization, store, Marketplace::parse("etsy").unwrap(), id, at(0))
}

fn taken(claimed: Claimed) -> Receipt {
    match claimed {
        Claimed::Taken(receipt) => *receipt,
        other => panic!("{other:?}"),
    }
}

fn moved(completed: Completed) -> Receipt {
    match completed {
        Completed::Moved(receipt) => *receipt,
        other => panic!("{other:?}"),
    }
}

/// Asked about at second 1, under the token `mine`.
fn asked() -> Receipt {
    taken(fresh().claim_first(at(1), "mine", LEASE_MS))
}

fn failure(error: ReceiptError) -> CallResult {
    CallResult::Error { error, retry_after_seconds: None }
}

fn order(lines: usize, moves_stock: bool) -> ReceiptOrder {
    let line = Line { sku: Sku::parse("a").unwrap(), location: LocationId::parse("main").unwrap(), units: 2 };
    ReceiptOrder {
        order_id: "o".to_owned(),
        amount: "9.50".to_owned(),
        currency: "EUR".to_owned(),
        imported_at: at(0),
        lines: vec![line; lines],
        moves_stock,
    }
}

fn sold() -> CallResult {
    CallResult::Order { order: order(1, true), cancelled: false }
}

/// Imported at second 2.
fn imported() -> Receipt {
    moved(asked().complete("mine", &sold(), at(2), &POLICY))
}

/// Answered with an error at second 2.
fn failed(error: ReceiptError) -> Receipt {
    moved(asked().complete("mine", &failure(error), at(2), &POLICY))
}

#[test]
fn names_are_read_as_they_are_written() {
    for state in ReceiptState::ALL {
        assert_eq!(ReceiptState::parse(state.as_str()), Some(state));
    }
    assert_eq!(ReceiptState::RateLimited.as_str(), "rate_limited");
    assert_eq!(ReceiptError::parse("marketplace_auth"), Some(ReceiptError::MarketplaceAuth));
    assert_eq!(ReceiptError::CurrencyMismatch.as_str(), "currency_mismatch");
    assert_eq!((ReceiptState::parse("done"), ReceiptError::parse("")), (None, None));
    let stocks = [OrderStock::Taken, OrderStock::Short, OrderStock::Returned].map(OrderStock::as_str);
    assert_eq!(stocks, ["taken", "short", "returned"]);
}

#[test]
fn waits_double_up_to_the_longest() {
    let waits = [0, 1, 2, 3, 4, u32::MAX].map(|call| POLICY.wait_ms(call));
    assert_eq!(waits, [1_000, 1_000, 2_000, 4_000, 4_000, 4_000]);
}

#[test]
fn fresh_receipt_is_due_at_once_and_a_claimed_one_when_its_claim_lapses() {
    assert_eq!((fresh().due_at(), fresh().calls), (Some(at(0)), 0));
    let asked = asked();
    assert_eq!((asked.due_at(), asked.calls), (Some(at(11)), 1));
}

#[test]
fn one_asks_at_a_time_until_his_claim_lapses() {
    let asked = asked();
    assert_eq!(asked.claim_first(at(2), "mine", LEASE_MS), Claimed::Mine);
    assert_eq!(asked.claim_due(at(2), "mine", LEASE_MS), Claimed::Mine);
    for now in [at(2), at(11).plus_millis(-1)] {
        assert_eq!(asked.claim_first(now, "other", LEASE_MS), Claimed::Busy(at(11)));
        assert_eq!(asked.claim_due(now, "other", LEASE_MS), Claimed::Busy(at(11)));
    }
    for lapsed in [asked.claim_first(at(11), "other", LEASE_MS), asked.claim_due(at(11), "other", LEASE_MS)] {
        let lapsed = taken(lapsed);
        let claim = ReceiptClaim { token: "other".to_owned(), until: at(21) };
        assert_eq!((lapsed.claim, lapsed.calls), (Some(claim), 2));
    }
}

#[test]
fn answered_receipt_is_asked_about_again_only_when_it_is_due() {
    let failed = failed(ReceiptError::MarketplaceUnavailable);
    assert_eq!(failed.claim_first(at(9), "other", LEASE_MS), Claimed::Settled, "there is a result");
    assert_eq!(failed.due_at(), Some(at(3)));
    assert_eq!(failed.claim_due(at(3).plus_millis(-1), "other", LEASE_MS), Claimed::Settled);
    assert_eq!(taken(failed.claim_due(at(3), "other", LEASE_MS)).calls, 2);
    assert_eq!(imported().claim_due(at(9_000), "other", LEASE_MS), Claimed::Settled, "an order is final");
}

#[test]
fn answer_counts_once_and_only_under_its_claim() {
    let done = imported();
    assert_eq!((&done.claim, done.completed_by.as_deref()), (&None, Some("mine")));
    assert!(done.was_completed_by("mine") && !done.was_completed_by("other") && !asked().was_completed_by("mine"));
    assert_eq!(done.complete("mine", &sold(), at(3), &POLICY), Completed::Repeated);
    assert_eq!(asked().complete("other", &sold(), at(3), &POLICY), Completed::Lost);
    assert_eq!(done.complete("other", &sold(), at(3), &POLICY), Completed::Lost);
}

#[test]
fn order_is_the_outcome_and_needs_nobody_any_more() {
    let done = imported();
    assert_eq!((done.state(), done.order(), done.error()), (ReceiptState::Success, Some(&order(1, true)), None));
    assert_eq!((done.answered_at, done.next_retry_at, done.due_at()), (Some(at(2)), None, None));
}

#[rstest]
#[case::first(1, ReceiptError::InvalidReceipt, Some(at(3)))]
#[case::second(2, ReceiptError::InvalidReceipt, Some(at(4)))]
#[case::last(3, ReceiptError::InvalidReceipt, None)]
#[case::beyond(4, ReceiptError::InvalidReceipt, None)]
#[case::limited_is_never_given_up(4, ReceiptError::RateLimited, Some(at(6)))]
fn error_is_asked_about_again_until_the_calls_are_used_up(
    #[case] calls: u32,
    #[case] error: ReceiptError,
    #[case] again: Option<Timestamp>,
) {
    let asked = Receipt { calls, ..asked() };
    let failed = moved(asked.complete("mine", &failure(error), at(2), &POLICY));
    let state = if error == ReceiptError::RateLimited { ReceiptState::RateLimited } else { ReceiptState::Failed };
    assert_eq!((failed.state(), failed.error(), failed.order()), (state, Some(error), None));
    assert_eq!(failed.due_at(), again);
}

#[test]
fn wait_that_the_marketplace_asks_for_is_kept_when_it_is_longer() {
    for (seconds, again) in [(0, 3), (1, 3), (30, 32)] {
        let error = ReceiptError::RateLimited;
        let result = CallResult::Error { error, retry_after_seconds: Some(seconds) };
        assert_eq!(moved(asked().complete("mine", &result, at(2), &POLICY)).due_at(), Some(at(again)));
    }
}

#[test]
fn call_that_was_not_made_does_not_count() {
    for (until, again) in [(2, 3), (60, 60)] {
        let kept = moved(asked().complete("mine", &CallResult::NotMade { until: at(until) }, at(2), &POLICY));
        assert_eq!((kept.calls, kept.due_at()), (0, Some(at(again))));
        assert_eq!(kept.error(), Some(ReceiptError::MarketplaceUnavailable));
    }
    let limited = failed(ReceiptError::RateLimited);
    let again = taken(limited.claim_due(at(3), "again", LEASE_MS));
    let kept = moved(again.complete("again", &CallResult::NotMade { until: at(9) }, at(4), &POLICY));
    assert_eq!(kept.error(), Some(ReceiptError::RateLimited), "what was answered stands");
}

#[test]
fn two_answers_of_one_receipt_never_share_a_time() {
    let again = taken(failed(ReceiptError::RateLimited).claim_due(at(3), "again", LEASE_MS));
    let second = moved(again.complete("again", &sold(), at(1), &POLICY));
    assert_eq!(second.answered_at, Some(at(2).plus_millis(1)), "whatever the clock says");
}

#[test]
fn order_moves_its_lines_and_a_cancellation_moves_them_back() {
    let (done, lines) = (imported(), order(1, true).lines);
    assert_eq!((done.taken(), done.returned()), (Some((at(2), lines.as_slice())), None));
    assert_eq!(done.stock(), Some(OrderStock::Taken));
    let called_off = done.cancel(at(5)).unwrap();
    assert_eq!(called_off.taken(), Some((at(2), lines.as_slice())), "it happened");
    assert_eq!(called_off.returned(), Some((at(5), lines.as_slice())));
    assert_eq!(called_off.stock(), Some(OrderStock::Returned));
    assert_eq!(called_off.cancel(at(6)), None, "once");
    assert_eq!(done.cancel(at(1)).unwrap().cancelled_at, Some(at(2).plus_millis(1)), "behind the import");
}

#[test]
fn order_that_was_called_off_before_its_import_takes_nothing() {
    let called_off = asked().cancel(at(5)).unwrap();
    assert_eq!((called_off.cancelled_at, called_off.due_at()), (Some(at(5)), None));
    let done = moved(called_off.complete("mine", &sold(), at(2), &POLICY));
    assert_eq!((done.answered_at, done.taken(), done.returned()), (Some(at(5)), None, None));
    let sold_and_off = CallResult::Order { order: order(1, true), cancelled: true };
    let done = moved(asked().complete("mine", &sold_and_off, at(2), &POLICY));
    assert_eq!((done.cancelled_at, done.taken()), (Some(at(2)), None));
    assert_eq!(done.stock(), Some(OrderStock::Returned));
}

#[rstest]
#[case::no_lines(order(0, true))]
#[case::of_a_store_that_states_its_stock(order(1, false))]
fn order_that_moves_no_stock_takes_none(#[case] order: ReceiptOrder) {
    let done = moved(asked().complete("mine", &CallResult::Order { order, cancelled: false }, at(2), &POLICY));
    assert_eq!((done.state(), done.taken(), done.stock()), (ReceiptState::Success, None, None));
}

#[test]
fn order_that_took_more_than_there_was_is_marked_once() {
    let short = imported().mark_short().unwrap();
    assert!(short.short);
    assert_eq!((short.stock(), short.mark_short()), (Some(OrderStock::Short), None));
}

#[test]
fn events_of_lines_have_names_of_their_own() {
    let receipt = fresh();
    assert_eq!(receipt.line_event(1), "store/r-1/1");
    assert_eq!(receipt.cancel_event(1), "store/r-1/1/cancel");
    assert_eq!(receipt.source(), "etsy/store");
}
