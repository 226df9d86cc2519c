//! A randomized world: importers, workers and cancellers at once, calls that fail or whose outcome stays unknown,
//! processes that die at any point, and a clock that goes on. Whatever happens, an answer that was believed stays, and
//! in the end everything is settled and every order has moved stock once.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Waker};
use std::collections::BTreeMap;

use evenstock_app::testing::contract::{policy, registered};
use evenstock_app::testing::worlds::{Random, seeds};
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryQueue, MemorySealer, MemoryStore};
use evenstock_app::{OrderDeps, ReceiptStore, cancel_order, import_order, note_receipt, sync_store};
use evenstock_domain::{OrderStock, ReceiptState};

use crate::rig::{CountingMarketplace, LIMITS, Rig, id, start};

const SEEDS: u64 = 60;
const RECEIPTS: u64 = 6;

fn plan(seed: u64) -> impl FnMut(&'static str) -> Fault + Send + 'static {
    let mut random = Random(seed ^ 0xfa_017);
    move |_| match random.below(40) {
        0 => Fault::NotDone,
        1 => Fault::UnknownNotDone,
        2 => Fault::UnknownDone,
        _ => Fault::None,
    }
}

type Process<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

async fn world(seed: u64) {
    let mut random = Random(seed);
    let (sealer, clock, queue) = (MemorySealer::default(), FixedClock::at(start()), MemoryQueue::default());
    let memory = MemoryStore::default();
    let of = registered(&memory, &sealer, &clock).await;
    let marketplace = CountingMarketplace::default();
    let store = FaultyStore::new(memory, plan(seed));
    let deps = OrderDeps { store: &store, marketplace: &marketplace, sealer: &sealer, clock: &clock, policy: policy() };
    let names: Vec<_> = (0..RECEIPTS).map(|n| if n == 0 { "0l".to_owned() } else { n.to_string() }).collect();
    let mut believed: BTreeMap<String, String> = BTreeMap::new();
    let mut processes: Vec<Process<'_>> = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    for step in 0..3000_u64 {
        if processes.len() < 8 && random.below(6) == 0 {
            let name = id(&names[random.below(RECEIPTS) as usize]);
            let (kind, token) = (random.below(10), format!("process {step}"));
            let (of, store, clock, queue) = (&of, &store, &clock, &queue);
            processes.push(Box::pin(async move {
                // A failure of our own is the caller's to repeat; here nobody does.
                let _failed: bool = match kind {
                    0..=4 => import_order(deps, of, &name, &token).await.is_err(),
                    5 => cancel_order(store, clock, of, &name).await.is_err(),
                    6 => note_receipt(store, clock, of, &name).await.is_err(),
                    _ => sync_store(deps, queue, &of.store.id, (&token, &token), LIMITS).await.is_err(),
                };
            }));
        }
        match random.below(100) {
            0 if !processes.is_empty() => {
                let dead = random.below(processes.len() as u64) as usize;
                drop(processes.swap_remove(dead));
            }
            1 => clock.advance_ms(random.below(400_000) as i64),
            _ if !processes.is_empty() => {
                let turn = random.below(processes.len() as u64) as usize;
                if processes[turn].as_mut().poll(&mut context).is_ready() {
                    drop(processes.swap_remove(turn));
                }
            }
            _ => {}
        }
        for receipt in store.inner().receipts() {
            let order = receipt.order().map(|order| order.order_id.clone());
            match (believed.get(receipt.id.as_str()), order) {
                (None, Some(order)) => {
                    believed.insert(receipt.id.to_string(), order);
                }
                (Some(before), now) => assert_eq!(Some(before), now.as_ref(), "seed {seed}: {}", receipt.id),
                (None, None) => {}
            }
        }
    }
    drop(processes);
    settle(store, marketplace, sealer, clock, of, seed).await;
}

/// Without faults, a few jobs settle everything.
async fn settle(
    store: FaultyStore<MemoryStore>,
    marketplace: CountingMarketplace,
    sealer: MemorySealer,
    clock: FixedClock,
    of: evenstock_app::StoredStore,
    seed: u64,
) {
    for job in 0..12 {
        clock.advance_ms(3_600_000);
        let deps = OrderDeps {
            store: store.inner(),
            marketplace: &marketplace,
            sealer: &sealer,
            clock: &clock,
            policy: policy(),
        };
        let job = format!("settle {job}");
        sync_store(deps, &MemoryQueue::default(), &of.store.id, (&job, &job), LIMITS).await.unwrap();
    }
    let mut sold = 0;
    for receipt in store.inner().receipts() {
        let stored = store.inner().load_receipt(&of.store.id, &receipt.id).await.unwrap().unwrap();
        assert_eq!(stored.receipt.claim.as_ref().filter(|_| receipt.due_at().is_some()), None, "seed {seed}");
        match receipt.state() {
            ReceiptState::Success => sold += i64::from(receipt.stock() == Some(OrderStock::Taken)),
            // Called off before anybody asked.
            _ => assert!(receipt.cancelled_at.is_some(), "seed {seed}: {receipt:?}"),
        }
    }
    let memory = store.into_inner();
    let rig = Rig { store: memory, marketplace, sealer, clock, queue: MemoryQueue::default(), of };
    assert_eq!(rig.available().await, -sold, "seed {seed}");
}

#[tokio::test]
async fn whatever_fails_or_dies_each_order_counts_once_and_everything_is_settled() {
    for seed in seeds(SEEDS) {
        world(seed).await;
    }
}
