//! What is promised of the costs. Counts, so they hold on every machine.

use super::*;
use crate::meter::Chain;

fn named<'a>(rows: &'a [Row], name: &str) -> &'a Row {
    rows.iter().find(|row| row.name == name).unwrap()
}

/// One conditional write, and of sixteen two more for their page of history.
#[tokio::test]
async fn update_is_one_call_and_less_than_a_sixth_of_a_unit_more_with_its_history() {
    let product = Product::start().await.unwrap();
    let rows = updates::single(&product).await.unwrap();
    for name in ["update", "update that names a version"] {
        let update = named(&rows, name);
        assert!(update.writes() <= 115, "{update:?}");
        assert!(update.calls() <= 115, "{update:?}");
        assert_eq!(update.bill.chain.unwrap().least, 1, "{update:?}");
        assert_eq!(update.bill.units.read_halves, 0, "{update:?}");
    }
    let keyed = named(&rows, "update under an idempotency key");
    assert!(keyed.writes() <= 215 && keyed.calls() <= 215, "{keyed:?}");
    let again = named(&rows, "the same again");
    assert_eq!((again.writes(), again.bill.chain), (200, Some(Chain { least: 2, most: 2 })), "{again:?}");
    for row in &rows {
        assert_eq!(row.bill.disagreed, Vec::<String>::new(), "{}", row.name);
    }
}

#[tokio::test]
async fn event_of_a_hot_batch_of_ten_is_a_fifth_of_a_unit() {
    let product = Product::start().await.unwrap();
    let hot = intake::hot(&product).await.unwrap();
    assert!(hot.writes() <= 20, "{hot:?}");
}

/// Three, one a kind; a busy machine begins some of the sixteen only when others have been answered.
#[tokio::test]
async fn idle_tick_of_the_scheduler_does_not_wait_for_one_group_after_the_other() {
    let product = Product::start().await.unwrap();
    let idle = upkeep::idle(&product).await.unwrap();
    let chain = idle.bill.chain.unwrap();
    assert!(idle.calls() == 4_800 && (3..=24).contains(&chain.most), "{idle:?}");
}
