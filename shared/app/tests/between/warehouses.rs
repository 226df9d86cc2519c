//! A warehouse's counts and the settling of its conflicts, beside other writers of the same level.

use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{
    Clock, ConflictChoice, ConflictStore, CountDeps, CountOutcome, Resolve, ResolveResult, WarehouseCount,
    apply_counts, resolve_conflict,
};
use evenstock_domain::{ActorCode, ConflictPolicy, EventBody, Means, Quantity, Timestamp};

use crate::{TURNS, apply, delta, ids, interrupted, key, level, organization, start};

struct Shelf {
    store: FaultyStore<MemoryStore>,
    clock: FixedClock,
}

impl Shelf {
    /// Ten caps, as the warehouse has counted.
    async fn of_ten() -> Self {
        let store = FaultyStore::new(MemoryStore::default(), |_| Fault::None);
        let shelf = Self { store, clock: FixedClock::at(start()) };
        assert_eq!(shelf.count(10, None, start()).await, CountOutcome::Applied);
        shelf.clock.advance_ms(1_000);
        shelf
    }

    async fn count(&self, units: i64, before: Option<i64>, time: Timestamp) -> CountOutcome {
        let count = WarehouseCount {
            sku: key("CAP").sku,
            warehouse: key("CAP").location,
            quantity: Quantity::new(units).unwrap(),
            before,
            time,
            position: None,
        };
        let deps = CountDeps { store: &self.store, clock: &self.clock, ids: &ids() };
        let applied = apply_counts(deps, &key("CAP"), ConflictPolicy::Manual, &[count]).await;
        assert!(applied.failure.is_none(), "{:?}", applied.failure);
        *applied.outcomes.first().unwrap()
    }

    /// A sale, at once, whoever else works on the level.
    async fn sell(&self, name: &str) {
        apply(self.store.inner(), &self.clock, &key("CAP"), name, delta(-1)).await;
    }

    /// The warehouse says that there were 20 before, of which we know nothing.
    async fn with_conflict() -> (Self, String) {
        let shelf = Self::of_ten().await;
        assert_eq!(shelf.count(19, Some(20), shelf.clock.now()).await, CountOutcome::Conflict);
        let found = shelf.store.conflicts(&organization(), Some(true), None, 10).await.unwrap().conflicts;
        let id = found.first().unwrap().id.clone();
        (shelf, id)
    }

    async fn resolve<S>(&self, store: &S, id: &str, choice: ConflictChoice) -> ResolveResult
    where
        S: evenstock_app::StockStore + ConflictStore,
    {
        let (organization, by, actor) = (organization(), "key".to_owned(), ActorCode(1));
        let asked = Resolve { organization, id: id.to_owned(), choice, by, actor };
        resolve_conflict(CountDeps { store, clock: &self.clock, ids: &ids() }, &asked).await.unwrap()
    }
}

#[tokio::test]
async fn count_whose_write_was_outpaced_is_applied_to_the_level_as_it_is_then() {
    let mut raced = 0;
    for after in 0..TURNS {
        let shelf = Shelf::of_ten().await;
        let counted = shelf.clock.now();
        shelf.clock.advance_ms(1_000);
        let Some(outcome) = interrupted(shelf.count(15, None, counted), after, shelf.sell("sale")).await else { break };
        raced += 1;
        assert_eq!(outcome, CountOutcome::Applied, "sold after {after} turns");
        assert_eq!(level(&shelf.store, &key("CAP")).await.available, 14, "sold after {after} turns");
    }
    assert!(raced > 2, "{raced} points");
}

#[tokio::test]
async fn resolution_that_was_outpaced_is_told_how_the_conflict_was_settled() {
    let mut raced = 0;
    for after in 0..TURNS {
        let (shelf, id) = Shelf::with_conflict().await;
        let other = async {
            let resolved = shelf.resolve(shelf.store.inner(), &id, ConflictChoice::Warehouse).await;
            assert!(matches!(resolved, ResolveResult::Resolved(_) | ResolveResult::Otherwise(_)));
        };
        let slow = shelf.resolve(&shelf.store, &id, ConflictChoice::Central);
        let Some(resolved) = interrupted(slow, after, other).await else { break };
        raced += 1;
        let (ResolveResult::Resolved(conflict) | ResolveResult::Otherwise(conflict)) = &resolved else {
            panic!("it is there");
        };
        let stands = shelf.store.load_conflict(&organization(), &id).await.unwrap().unwrap();
        assert_eq!((conflict, &stands.resolution), (&stands, &conflict.resolution), "after {after} turns");
        let ours = stands.resolution.unwrap().choice == ConflictChoice::Central;
        assert_eq!(matches!(resolved, ResolveResult::Resolved(_)), ours, "after {after} turns");
        assert_eq!(level(&shelf.store, &key("CAP")).await.available, if ours { 10 } else { 19 }, "after {after} turns");
    }
    assert!(raced > 2, "{raced} points");
}

#[tokio::test]
async fn decided_number_comes_after_a_count_whose_clock_leads() {
    let (shelf, id) = Shelf::with_conflict().await;
    let leads = shelf.clock.now().plus_millis(60_000);
    let (quantity, means) = (Quantity::new(12).unwrap(), Means::OnHand);
    let (source, sequence) = (evenstock_app::warehouse_source(), 0);
    let event = evenstock_domain::StockEvent {
        id: ids().event_id("ahead"),
        time: leads,
        source,
        actor: ActorCode(0),
        body: EventBody::Count { quantity, means, sequence },
    };
    evenstock_app::apply_group(&shelf.store, &shelf.clock, &key("CAP"), &[event]).await;
    assert_eq!(level(&shelf.store, &key("CAP")).await.available, 12);
    shelf.resolve(&shelf.store, &id, ConflictChoice::Quantity(Quantity::new(7).unwrap())).await;
    assert_eq!(level(&shelf.store, &key("CAP")).await.available, 7, "somebody looked, and said so");
}

/// Somebody stated the stock since, so that a plain count would not have to look back; what contradicts it does.
#[tokio::test]
async fn late_change_that_contradicts_is_judged_where_the_journal_has_left_the_level() {
    let shelf = Shelf::of_ten().await;
    let late = shelf.clock.now();
    shelf.clock.advance_ms(1_000);
    let (quantity, means, sequence) = (Quantity::new(50).unwrap(), Means::OnHand, 0);
    let stated = EventBody::Count { quantity, means, sequence };
    apply(shelf.store.inner(), &shelf.clock, &key("CAP"), "stated", stated).await;
    for n in 0..evenstock_domain::RECENT_ENTRIES_MAX {
        shelf.clock.advance_ms(1);
        shelf.sell(&format!("sale {n}")).await;
    }
    assert!(level(&shelf.store, &key("CAP")).await.spilled_through > late);
    assert_eq!(shelf.count(19, Some(20), late).await, CountOutcome::Conflict);
}
