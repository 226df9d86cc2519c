//! Counts and decisions about them that somebody else is faster than, at each point where he can come in between.

use evenstock_app::testing::worlds::meeting;
use evenstock_app::{
    Clock, Conflict, ConflictChoice, ConflictStore, CountDeps, CountOutcome, Resolve, ResolveResult, WarehouseCount,
    apply_counts, resolve_conflict,
};
use evenstock_domain::{ActorCode, ConflictPolicy, PAGE_ENTRIES, Quantity};

use crate::stage::{Stage, available, delta, key, organization};

/// More turns than anything here takes.
const TURNS: usize = 30;

fn quantity(units: i64) -> Quantity {
    Quantity::new(units).unwrap()
}

/// What the warehouse counted so long ago, by its clock.
fn counted(stage: &Stage, units: i64, before: Option<i64>, ago_ms: i64) -> WarehouseCount {
    let shirt = key("SHIRT", "main");
    WarehouseCount {
        sku: shirt.sku,
        warehouse: shirt.location,
        quantity: quantity(units),
        before,
        time: stage.clock.now().plus_millis(-ago_ms),
        position: None,
    }
}

async fn apply(stage: &Stage, policy: ConflictPolicy, count: WarehouseCount) -> CountOutcome {
    let deps = CountDeps { store: &stage.store, clock: &stage.clock, ids: &stage.ids };
    let applied = apply_counts(deps, &key("SHIRT", "main"), policy, &[count]).await;
    assert!(applied.failure.is_none() && applied.outcomes.len() == 1, "{applied:?}");
    applied.outcomes[0]
}

async fn shirts(stage: &Stage) -> i64 {
    stage.level(&key("SHIRT", "main")).await.unwrap().available
}

/// The warehouse had ten and says that it went from eight to six; nobody decided yet.
async fn disputed(stage: &Stage) -> Conflict {
    let first = counted(stage, 10, None, 20_000);
    assert_eq!(apply(stage, ConflictPolicy::Manual, first).await, CountOutcome::Applied);
    let second = counted(stage, 6, Some(8), 10_000);
    assert_eq!(apply(stage, ConflictPolicy::Manual, second).await, CountOutcome::Conflict);
    let mut open = stage.store.inner().conflicts(&organization(), Some(true), None, 10).await.unwrap().conflicts;
    assert_eq!(open.len(), 1);
    open.remove(0)
}

async fn resolve(stage: &Stage, conflict: &Conflict, choice: ConflictChoice) -> ResolveResult {
    let (organization, id) = (organization(), conflict.id.clone());
    let asked = Resolve { organization, id, choice, by: "k".to_owned(), actor: ActorCode(7) };
    let deps = CountDeps { store: &stage.store, clock: &stage.clock, ids: &stage.ids };
    resolve_conflict(deps, &asked).await.unwrap()
}

#[tokio::test]
async fn count_and_a_sale_that_comes_in_between_both_count() {
    for meets_after in 0..TURNS {
        let (stage, shirt) = (Stage::new(), key("SHIRT", "main"));
        let count = counted(&stage, 10, None, 10_000);
        let sale = [stage.event("sale", "till", delta(-1))];
        let met = meeting(apply(&stage, ConflictPolicy::Manual, count), meets_after, stage.apply(&shirt, &sale));
        assert_eq!(met.await.0, CountOutcome::Applied);
        assert_eq!(shirts(&stage).await, 9, "met after {meets_after} turns");
    }
}

/// We set the level after the warehouse had counted. Whether that count stands is decided by the journal behind it, which
/// has left the level by now.
#[tokio::test]
async fn contested_count_looks_back_as_far_as_it_may_count() {
    let (stage, shirt) = (Stage::new(), key("SHIRT", "main"));
    stage.apply(&shirt, &[stage.event("set by us", "api", available(100))]).await;
    for n in 0..2 * PAGE_ENTRIES + 1 {
        stage.clock.advance_ms(1);
        stage.apply(&shirt, &[stage.event(&format!("sale {n}"), "till", delta(-1))]).await;
    }
    assert!(stage.level(&shirt).await.unwrap().pages_spilled() > 0);
    let count = counted(&stage, 10, None, 10_000);
    assert_eq!(apply(&stage, ConflictPolicy::WarehouseWins, count).await, CountOutcome::Conflict);
    let sold = i64::try_from(2 * PAGE_ENTRIES + 1).unwrap();
    assert_eq!(shirts(&stage).await, 10 - sold, "what was sold since the count is gone from it");
}

#[tokio::test]
async fn conflict_that_two_decide_at_once_is_settled_by_one_of_them() {
    for meets_after in 0..TURNS {
        let stage = Stage::new();
        let conflict = disputed(&stage).await;
        let met = meeting(
            resolve(&stage, &conflict, ConflictChoice::Quantity(quantity(7))),
            meets_after,
            resolve(&stage, &conflict, ConflictChoice::Warehouse),
        );
        let (one, other) = met.await;
        let units = match (&one, &other) {
            (ResolveResult::Resolved(_), ResolveResult::Otherwise(_)) => 7,
            (ResolveResult::Otherwise(_), ResolveResult::Resolved(_)) => 6,
            both => panic!("met after {meets_after} turns: {both:?}"),
        };
        assert_eq!(shirts(&stage).await, units, "met after {meets_after} turns");
    }
}

#[tokio::test]
async fn decision_counts_although_a_count_of_a_clock_that_leads_is_known() {
    let stage = Stage::new();
    let conflict = disputed(&stage).await;
    let leading = counted(&stage, 9, None, -60_000);
    assert_eq!(apply(&stage, ConflictPolicy::Manual, leading).await, CountOutcome::Applied);
    let resolved = resolve(&stage, &conflict, ConflictChoice::Quantity(quantity(7))).await;
    assert!(matches!(resolved, ResolveResult::Resolved(_)), "{resolved:?}");
    assert_eq!(shirts(&stage).await, 7);
}
