//! The contract of warehouses and conflicts, run on each store by [`warehouse_contract!`].
#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "these functions are test bodies"
)]

use evenstock_domain::{
    ActorCode, ConflictPolicy, Delta, EventBody, LevelKey, LocationId, Means, OrganizationId, Outcome, Quantity, Sku,
    Source, StockEvent, StockLevel,
};
use futures::future::join_all;

use super::FixedClock;
use super::contract::{at, event, ids};
use crate::{
    Conflict, ConflictChoice, ConflictStore, CountDeps, CountOutcome, KeyChange, Resolve, ResolveResult, Sealed,
    StockStore, WarehouseCount, WarehouseSettings, WarehouseStore, apply_counts, apply_group, follow_conflict,
    resolve_conflict,
};

/// Makes a test of each contract function, as `store_contract!` does.
#[macro_export]
macro_rules! warehouse_contract {
    ($make:path) => {
        $crate::warehouse_contract!(@each $make,
            warehouse_is_claimed_by_one_organization, warehouses_page_through_once,
            warehouse_sets_its_levels_and_replays_change_nothing, conflict_is_decided_by_the_policy,
            manual_conflict_waits_and_is_resolved_by_one_of_many, conflicts_page_through_once
        );
    };
    (@each $make:path, $($name:ident),+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let fresh = $make().await;
                $crate::testing::warehouse_contract::$name(&fresh.store).await;
            }
        )+
    };
}

fn organization(name: &str) -> OrganizationId {
    OrganizationId::parse(name).unwrap()
}

fn warehouse(name: &str) -> LocationId {
    LocationId::parse(name).unwrap()
}

fn settings(organization_name: &str, id: &str, millis: i64) -> WarehouseSettings {
    WarehouseSettings {
        id: warehouse(id),
        organization: organization(organization_name),
        endpoint: "https://warehouse.example/api".to_owned(),
        api_key: KeyChange::Set(Sealed::from_stored("1.k.x")),
        policy: ConflictPolicy::Manual,
        at: at(millis),
    }
}

pub async fn warehouse_is_claimed_by_one_organization<S: WarehouseStore>(store: &S) {
    assert_eq!(store.load_warehouse(&warehouse("wh #1")).await.unwrap(), None);
    let claims: Vec<_> = (0..8).map(|n| settings(&format!("org{n}"), "wh #1", n)).collect();
    let claimed = join_all(claims.iter().map(|claim| store.set_up_warehouse(claim))).await;
    let owners: Vec<_> = claimed.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(owners.len(), 1, "the first one only");
    let first = &owners[0];
    assert_eq!(store.load_warehouse(&first.id).await.unwrap().as_ref(), Some(first));

    let again = WarehouseSettings {
        endpoint: "https://elsewhere.example".to_owned(),
        api_key: KeyChange::Keep,
        policy: ConflictPolicy::CentralWins,
        ..settings(first.organization.as_str(), "wh #1", 99)
    };
    let changed = store.set_up_warehouse(&again).await.unwrap().unwrap();
    assert_eq!((changed.claimed_at, changed.updated_at), (first.claimed_at, at(99)));
    assert_eq!((changed.policy, &changed.api_key), (ConflictPolicy::CentralWins, &first.api_key), "the key stays");
    let open = WarehouseSettings { api_key: KeyChange::Remove, ..again };
    assert_eq!(store.set_up_warehouse(&open).await.unwrap().unwrap().api_key, None);
    assert_eq!(store.load_warehouse(&first.id).await.unwrap().unwrap().endpoint, "https://elsewhere.example");
}

pub async fn warehouses_page_through_once<S: WarehouseStore>(store: &S) {
    for n in 0..5 {
        assert!(store.set_up_warehouse(&settings("a#b", &format!("wh{n}"), n)).await.unwrap().is_some());
    }
    assert!(store.set_up_warehouse(&settings("a", "b#wh", 1)).await.unwrap().is_some());
    let mut found = Vec::new();
    loop {
        let after = found.last().map(|last: &crate::Warehouse| (last.claimed_at, &last.id));
        let page = store.warehouses_of(&organization("a#b"), after, 2).await.unwrap();
        assert!(page.warehouses.len() <= 2);
        let done = !page.more || page.warehouses.is_empty();
        found.extend(page.warehouses);
        if done {
            break;
        }
    }
    let names: Vec<_> = found.iter().map(|warehouse| warehouse.id.as_str()).collect();
    assert_eq!(names, ["wh0", "wh1", "wh2", "wh3", "wh4"]);
}

fn count(millis: i64, before: Option<i64>, units: i64) -> WarehouseCount {
    WarehouseCount {
        sku: Sku::parse("sku #1").unwrap(),
        warehouse: warehouse("wh/1"),
        quantity: Quantity::new(units).unwrap(),
        before,
        time: at(millis),
        position: u64::try_from(millis).ok(),
    }
}

fn level_key() -> LevelKey {
    let WarehouseCount { sku, warehouse, .. } = count(1, None, 0);
    LevelKey { organization: organization("org"), sku, location: warehouse }
}

async fn applied<S: StockStore + ConflictStore>(
    store: &S,
    policy: ConflictPolicy,
    counts: &[WarehouseCount],
) -> Vec<CountOutcome> {
    let clock = FixedClock::at(at(60_000));
    let deps = CountDeps { store, clock: &clock, ids: &ids() };
    let done = apply_counts(deps, &level_key(), policy, counts).await;
    assert!(done.failure.is_none(), "{:?}", done.failure);
    done.outcomes
}

async fn level<S: StockStore>(store: &S) -> StockLevel {
    store.load(&level_key()).await.unwrap().unwrap().level
}

async fn all_conflicts<S: ConflictStore>(store: &S, open: Option<bool>) -> Vec<Conflict> {
    store.conflicts(&organization("org"), open, None, 100).await.unwrap().conflicts
}

/// Units that were sold, as a fact.
async fn sell<S: StockStore>(store: &S, name: &str, millis: i64, units: i64) {
    let clock = FixedClock::at(at(60_000));
    let body = EventBody::Delta(Delta::new(-units).unwrap());
    let done = apply_group(store, &clock, &level_key(), &[event(name, millis, body)]).await;
    assert!(done.failure.is_none());
}

/// Our own word on what is available.
async fn set<S: StockStore>(store: &S, name: &str, millis: i64, units: i64) {
    let clock = FixedClock::at(at(60_000));
    let body = EventBody::Count { quantity: Quantity::new(units).unwrap(), means: Means::Available, sequence: 0 };
    let event = StockEvent { source: Source::api(), ..event(name, millis, body) };
    let done = apply_group(store, &clock, &level_key(), &[event]).await;
    assert_eq!(done.outcomes, [Outcome::Applied]);
}

pub async fn warehouse_sets_its_levels_and_replays_change_nothing<S: StockStore + ConflictStore>(store: &S) {
    let changes: Vec<_> = (1..=40).map(|n| count(n, (n > 1).then_some(n - 1), n)).collect();
    let policy = ConflictPolicy::Manual;
    assert_eq!(applied(store, policy, &changes).await, [CountOutcome::Applied; 40], "more than fit one write");
    sell(store, "order", 100, 5).await;
    assert_eq!(level(store).await.available, 35);
    assert_eq!(applied(store, policy, &[count(101, Some(40), 35)]).await, [CountOutcome::Applied], "it confirms");
    assert_eq!(level(store).await.version, 41, "and that is no change");
    let before = level(store).await;
    for part in changes.chunks(7) {
        assert_eq!(applied(store, policy, part).await, vec![CountOutcome::Unchanged; part.len()]);
    }
    assert_eq!(applied(store, policy, &[count(101, Some(40), 35)]).await, [CountOutcome::Unchanged]);
    assert_eq!(level(store).await, before);
    assert_eq!(all_conflicts(store, None).await, []);
}

pub async fn conflict_is_decided_by_the_policy<S: StockStore + ConflictStore>(store: &S) {
    let wins = ConflictPolicy::WarehouseWins;
    applied(store, wins, &[count(10, None, 10)]).await;
    sell(store, "a", 20, 1).await;
    // The number it begins with is not the last one known: a change was lost.
    assert_eq!(applied(store, wins, &[count(30, Some(8), 7)]).await, [CountOutcome::Conflict]);
    assert_eq!(level(store).await.available, 7);
    set(store, "set", 100, 50).await;
    sell(store, "b", 110, 2).await;
    // It is older than our own word and stands all the same; the sale after it stays sold.
    for _ in 0..2 {
        let again = applied(store, wins, &[count(90, Some(7), 6)]).await;
        assert!([CountOutcome::Conflict, CountOutcome::Unchanged].contains(&again[0]));
    }
    assert_eq!(level(store).await.available, 4);
    assert_eq!(level(store).await.observed.unwrap().time, at(100), "the watermark does not fall");

    let central = ConflictPolicy::CentralWins;
    let version = level(store).await.version;
    assert_eq!(applied(store, central, &[count(95, Some(6), 5)]).await, [CountOutcome::Conflict]);
    assert_eq!((level(store).await.available, level(store).await.version), (4, version), "ours stays");
    assert_eq!(applied(store, central, &[count(95, Some(6), 5)]).await, [CountOutcome::Unchanged]);
    assert_eq!(
        applied(store, central, &[count(120, Some(5), 3)]).await,
        [CountOutcome::Applied],
        "it goes on from there"
    );
    assert_eq!(level(store).await.available, 3);

    let found = all_conflicts(store, None).await;
    let found: Vec<_> = found.iter().map(|conflict| (conflict.count.time, conflict.status())).collect();
    assert_eq!(found, [(at(30), "resolved"), (at(90), "resolved"), (at(95), "resolved")]);
}

pub async fn manual_conflict_waits_and_is_resolved_by_one_of_many<S: StockStore + ConflictStore>(store: &S) {
    let manual = ConflictPolicy::Manual;
    let clock = FixedClock::at(at(60_000));
    let ids = ids();
    let deps = CountDeps { store, clock: &clock, ids: &ids };
    applied(store, manual, &[count(10, None, 10)]).await;
    set(store, "set", 100, 50).await;
    sell(store, "b", 110, 2).await;
    for _ in 0..2 {
        assert_eq!(applied(store, manual, &[count(90, Some(10), 9)]).await, [CountOutcome::Conflict]);
    }
    assert_eq!(level(store).await.available, 48, "nothing is applied before somebody decides");
    let [open] = all_conflicts(store, Some(true)).await.try_into().unwrap();
    let asked = |choice, by: &str| Resolve {
        organization: organization("org"),
        id: open.id.clone(),
        choice,
        by: by.to_owned(),
        actor: ActorCode(7),
    };
    let quantity = |units| ConflictChoice::Quantity(Quantity::new(units).unwrap());
    let wishes = [asked(ConflictChoice::Warehouse, "a"), asked(quantity(33), "b"), asked(ConflictChoice::Central, "c")];
    let results = join_all(wishes.iter().map(|wish| resolve_conflict(deps, wish))).await;
    let winners: Vec<_> = results
        .into_iter()
        .zip(&wishes)
        .filter_map(|(result, wish)| match result.unwrap() {
            ResolveResult::Resolved(conflict) => Some((conflict, wish)),
            ResolveResult::Otherwise(conflict) => {
                assert_eq!(conflict.status(), "resolved");
                None
            }
            ResolveResult::Unknown => panic!("it is there"),
        })
        .collect();
    let [(settled, wish)] = winners.try_into().unwrap();
    let expected = match wish.choice {
        ConflictChoice::Warehouse => 7,
        ConflictChoice::Central => 48,
        ConflictChoice::Quantity(units) => units.get(),
    };
    assert_eq!(level(store).await.available, expected);
    sell(store, "c", 120_000, 1).await;
    for _ in 0..2 {
        follow_conflict(deps, &settled).await.unwrap();
        assert!(matches!(resolve_conflict(deps, wish).await.unwrap(), ResolveResult::Resolved(_)), "the same again");
    }
    assert_eq!(level(store).await.available, expected - 1, "done once");
    assert_eq!(applied(store, manual, &[count(90, Some(10), 9)]).await, [CountOutcome::Unchanged], "and never again");
    assert_eq!(all_conflicts(store, Some(true)).await, []);
    assert_eq!(all_conflicts(store, Some(false)).await, [settled]);
    let unknown = Resolve { id: "nobody".to_owned(), ..wish.clone() };
    assert_eq!(resolve_conflict(deps, &unknown).await.unwrap(), ResolveResult::Unknown);
}

pub async fn conflicts_page_through_once<S: StockStore + ConflictStore>(store: &S) {
    applied(store, ConflictPolicy::Manual, &[count(10, None, 10)]).await;
    let wrong: Vec<_> = (20..27).map(|millis| count(millis, Some(99), 1)).collect();
    assert_eq!(applied(store, ConflictPolicy::Manual, &wrong).await, [CountOutcome::Conflict; 7]);
    let mut found: Vec<Conflict> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.conflicts(&organization("org"), Some(true), after.as_deref(), 3).await.unwrap();
        assert!(page.conflicts.len() <= 3);
        found.extend(page.conflicts);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found.iter().map(|conflict| conflict.count.clone()).collect::<Vec<_>>(), wrong);
    let first = &found[0];
    assert_eq!(store.load_conflict(&organization("org"), &first.id).await.unwrap().as_ref(), Some(first));
    assert_eq!(store.load_conflict(&organization("other"), &first.id).await.unwrap(), None);
    assert_eq!(store.conflicts(&organization("other"), None, None, 3).await.unwrap().conflicts, []);
}
