//! Deliveries that repeat, arrive late, out of order and all at once.

use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{ChangeBody, StockChange, StockStore};
use evenstock_stock_worker::Worker;
use futures::future::join_all;
use rstest::rstest;

use crate::{MARKETPLACE, at, available, change, count, delta, key, level, work, worker};

/// A count of 100 and then a sale every tenth of a second.
fn sales(sold: i64) -> Vec<StockChange> {
    let sales = (1..=sold).map(|n| delta(n, n * 100, -1));
    core::iter::once(count(0, 100)).chain(sales).collect()
}

#[rstest]
#[case::in_order(|_: &mut Vec<StockChange>| {})]
#[case::reversed(|changes: &mut Vec<StockChange>| changes.reverse())]
#[case::from_the_middle(|changes: &mut Vec<StockChange>| changes.rotate_left(30))]
#[tokio::test]
async fn each_event_counts_once_however_often_and_in_whatever_order_it_comes(
    #[case] shuffle: fn(&mut Vec<StockChange>),
    #[values(1, 7, 61)] batch: usize,
) {
    let worker = worker(MemoryStore::default());
    let mut changes = sales(60);
    for _delivery in 0..3 {
        shuffle(&mut changes);
        for batch in changes.chunks(batch) {
            assert_eq!(work(&worker, batch).await, [0; 0]);
        }
        assert_eq!(available(&worker.store).await, 40);
    }
}

#[tokio::test]
async fn full_batch_of_one_product_redelivered_counts_once() {
    let worker = worker(MemoryStore::default());
    let mut changes: Vec<_> = (0..100).map(|n| delta(n, n, 1)).collect();
    assert_eq!(work(&worker, &changes).await, [0; 0]);
    let writes = worker.store.writes();
    // Twenty entries fit the first write and sixteen each further one, each after its page was put.
    assert_eq!(writes, 6 + 5);
    changes.reverse();
    assert_eq!(work(&worker, &changes).await, [0; 0]);
    let level = level(&worker.store, &key("SKU-1", "main")).await.unwrap();
    assert_eq!((level.available, level.version), (100, 100));
    assert_eq!(worker.store.writes(), writes + 1, "the page that was full already, and no level");
}

#[rstest]
#[case::before_every_sale(50, 90, 90 - 40)]
#[case::between_two_sales(1_050, 85, 85 - 30)]
#[case::at_a_sale_which_it_contains(1_000, 85, 85 - 30)]
#[case::after_every_sale(4_001, 61, 61)]
#[tokio::test]
async fn late_count_keeps_the_sales_after_it_even_when_they_left_the_level(
    #[case] millis: i64,
    #[case] quantity: i64,
    #[case] expected: i64,
) {
    let worker = worker(MemoryStore::default());
    assert_eq!(work(&worker, &sales(40)).await, [0; 0]);
    let sold = level(&worker.store, &key("SKU-1", "main")).await.unwrap();
    assert!(sold.recent.len() < 20 && sold.spilled_through > at(2_000), "most sales are in pages");
    assert_eq!(work(&worker, &[count(millis, quantity)]).await, [0; 0]);
    assert_eq!(available(&worker.store).await, expected);
    assert_eq!(work(&worker, &[count(millis, quantity), count(millis - 1, 0)]).await, [0; 0]);
    assert_eq!(available(&worker.store).await, expected, "known, and older than known");
}

/// 200 counts of one product: of 200 milliseconds, or of a single one and told apart by their sequence. Each states its
/// own rank as the quantity.
fn counts(one_millisecond: bool) -> Vec<StockChange> {
    let count = |n: u64| {
        // 77 has no divisor in common with 200, so every rank comes once, in no order.
        let rank = (n * 77) % 200;
        let quantity = i64::try_from(rank).unwrap();
        let (millis, sequence) = if one_millisecond { (0, rank) } else { (quantity, 0) };
        let body = ChangeBody::CountAvailable { quantity, sequence };
        change("SKU-1", &format!("count-{rank}"), MARKETPLACE, at(millis), body)
    };
    (0..200).map(count).collect()
}

/// Handles the changes in batches of twenty, all at once; what comes back is delivered again until nothing does.
async fn work_at_once<S: StockStore>(worker: &Worker<S, FixedClock>, mut waiting: Vec<StockChange>) {
    for _delivery in 0..20 {
        let batches: Vec<_> = waiting.chunks(20).map(<[_]>::to_vec).collect();
        let failed = join_all(batches.iter().map(|batch| work(worker, batch))).await;
        let left = batches.iter().zip(failed).flat_map(|(batch, failed)| failed.into_iter().map(|n| &batch[n]));
        waiting = left.cloned().collect();
    }
    assert_eq!(waiting, []);
}

#[rstest]
#[tokio::test]
async fn last_of_two_hundred_counts_at_once_wins_and_none_is_lost(#[values(true, false)] one_millisecond: bool) {
    let worker = worker(FaultyStore::new(MemoryStore::default(), |_| Fault::None));
    work_at_once(&worker, counts(one_millisecond)).await;
    let level = level(worker.store.inner(), &key("SKU-1", "main")).await.unwrap();
    let newest = level.observed.as_ref().unwrap();
    assert_eq!(level.available, 199);
    assert_eq!((newest.time, newest.sequence), if one_millisecond { (at(0), 199) } else { (at(199), 0) });
}

#[tokio::test]
async fn sales_at_once_all_count() {
    let worker = worker(FaultyStore::new(MemoryStore::default(), |_| Fault::None));
    assert_eq!(work(&worker, &[count(0, 1000)]).await, [0; 0]);
    work_at_once(&worker, (0..200).map(|n| delta(n, 1 + n % 5, -1)).collect()).await;
    assert_eq!(available(worker.store.inner()).await, 800);
}
