//! What imports and jobs cost: calls of the store, each of which is one call of AWS.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use evenstock_app::testing::{Fault, FaultyStore, MemoryStore};
use evenstock_app::{cancel_order, import_order, note_receipt, store_of_token, sync_store};

use crate::rig::{CountingMarketplace, LIMITS, Rig, id, rig};

/// The token of the rig's store.
const TOKEN: &str = "token of id-1";

type Calls = Arc<Mutex<BTreeMap<&'static str, u32>>>;

/// A store that counts what it is asked.
async fn counting() -> (Rig<FaultyStore<MemoryStore>, CountingMarketplace>, Calls) {
    let calls = Calls::default();
    let Rig { store, marketplace, sealer, clock, queue, of } =
        rig(MemoryStore::default(), CountingMarketplace::default()).await;
    let counted = Arc::clone(&calls);
    let plan = move |operation| {
        *counted.lock().unwrap().entry(operation).or_default() += 1;
        Fault::None
    };
    (Rig { store: FaultyStore::new(store, plan), marketplace, sealer, clock, queue, of }, calls)
}

/// What was asked since the last time.
fn taken(calls: &Calls) -> Vec<(&'static str, u32)> {
    core::mem::take(&mut *calls.lock().unwrap()).into_iter().collect()
}

#[tokio::test]
async fn import_costs_five_reads_and_three_writes_and_a_known_one_three_reads() {
    let (rig, calls) = counting().await;
    let import = async |receipt: &str| {
        let of = store_of_token(&rig.store, TOKEN, None).await.unwrap().unwrap();
        import_order(rig.deps(), &of, &id(receipt), receipt).await.unwrap();
        taken(&calls)
    };
    let to_the_store = [("find_token", 1), ("load_breaker", 2), ("load_receipt", 1), ("load_store", 1)];
    let writes_both = [("save_receipt", 2), ("save_store", 1)];
    assert_eq!(import("a").await, [&to_the_store[..], &writes_both].concat());
    assert_eq!(import("b").await, [&to_the_store[..], &writes_both[..1]].concat(), "the store is watched");
    assert_eq!(import("a").await, [("find_token", 1), ("load_receipt", 1), ("load_store", 1)]);
}

#[tokio::test]
async fn cancellation_and_notice_cost_one_write_of_the_receipt() {
    let (rig, calls) = counting().await;
    note_receipt(&rig.store, &rig.clock, &rig.of, &id("r")).await.unwrap();
    assert_eq!(taken(&calls), [("load_receipt", 1), ("save_receipt", 1), ("save_store", 1)]);
    note_receipt(&rig.store, &rig.clock, &rig.of, &id("r")).await.unwrap();
    assert_eq!(taken(&calls), [("load_receipt", 1)], "a notice that comes again writes nothing");
    cancel_order(&rig.store, &rig.clock, &rig.of, &id("r")).await.unwrap();
    assert_eq!(taken(&calls), [("load_receipt", 1), ("save_receipt", 1)]);
}

#[tokio::test]
async fn job_costs_three_reads_and_two_writes_a_receipt_and_few_of_its_own() {
    let (rig, calls) = counting().await;
    for n in 0..20 {
        note_receipt(&rig.store, &rig.clock, &rig.of, &id(&format!("r{n}"))).await.unwrap();
    }
    taken(&calls);
    sync_store(rig.deps(), &rig.queue, &rig.of.store.id, ("job", "job"), LIMITS).await.outcome.unwrap();
    let expected =
        [("due_receipts", 3), ("load_breaker", 40), ("load_receipt", 20), ("load_store", 4), ("save_receipt", 40)];
    assert_eq!(taken(&calls), [&expected[..], &[("save_store", 4)]].concat(), "two pages of ten");
}
