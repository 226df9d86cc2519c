//! The contract of the copies of what a central system holds, run on each store by [`central_contract!`].
#![expect(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc, reason = "these functions are test bodies")]

use evenstock_domain::{CentralCopy, CentralDispute, DisputeReason, Holding, StockLevel};
use futures::future::join_all;

use super::contract::{at, key};
use crate::{CentralCopies, Conflict, ConflictChoice, ConflictResolution, ConflictStore, StockStore, central_conflict};

/// Makes a test of each contract function, as `store_contract!` does.
#[macro_export]
macro_rules! central_contract {
    ($make:path) => {
        $crate::central_contract!(@each $make,
            copy_reads_back_whole, copy_is_saved_by_one_of_many, copy_is_no_part_of_its_level,
            conflict_with_the_central_system_reads_back_whole
        );
    };
    (@each $make:path, $($name:ident),+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let fresh = $make().await;
                $crate::testing::central_contract::$name(&fresh.store).await;
            }
        )+
    };
}

fn copy(through: u64) -> CentralCopy {
    CentralCopy { through, version: 30, quantity: -4, correction: None, dispute: None }
}

fn dispute(reason: DisputeReason) -> CentralDispute {
    CentralDispute {
        reason,
        ours: Holding { quantity: 9, version: 8 },
        ours_at: at(1),
        theirs: Holding { quantity: -2, version: 31 },
        expected: 5,
        at: at(2),
    }
}

pub async fn copy_reads_back_whole<S: CentralCopies>(store: &S) {
    let level = key("SKU #1", "shop %#1");
    assert_eq!(store.load_copy(&level).await.unwrap(), None);
    let disputed = |reason| CentralCopy { dispute: Some(dispute(reason)), ..copy(9) };
    let copies = [
        copy(7),
        CentralCopy { correction: Some(-3), ..copy(8) },
        disputed(DisputeReason::Differs),
        disputed(DisputeReason::Refuses),
        copy(0),
    ];
    let mut rev = None;
    for (next, copy) in (1..).zip(&copies) {
        assert!(store.save_copy(&level, rev, copy).await.unwrap());
        assert_eq!(store.load_copy(&level).await.unwrap(), Some((next, copy.clone())));
        rev = Some(next);
    }
    assert_eq!(store.load_copy(&key("SKU #1", "shop %#2")).await.unwrap(), None);
}

pub async fn copy_is_saved_by_one_of_many<S: CentralCopies>(store: &S) {
    let level = key("SKU", "shop");
    for expected in [None, Some(1)] {
        let copies: Vec<_> = (1..=8).map(copy).collect();
        let saved = join_all(copies.iter().map(|copy| store.save_copy(&level, expected, copy))).await;
        assert_eq!(saved.iter().filter(|saved| *saved.as_ref().unwrap()).count(), 1);
    }
}

pub async fn copy_is_no_part_of_its_level<S: CentralCopies + StockStore>(store: &S) {
    let level = key("SKU", "shop");
    store.save_copy(&level, None, &copy(1)).await.unwrap();
    assert_eq!(store.load(&level).await.unwrap(), None);
    assert_eq!(store.levels_of(&level.organization, &level.sku).await.unwrap(), []);
    store.commit(&level, None, &StockLevel { available: 3, ..StockLevel::new() }).await.unwrap();
    assert_eq!(store.levels_of(&level.organization, &level.sku).await.unwrap().len(), 1);
    assert_eq!(store.load_copy(&level).await.unwrap(), Some((1, copy(1))));
}

pub async fn conflict_with_the_central_system_reads_back_whole<S: ConflictStore>(store: &S) {
    let level = key("SKU", "shop");
    for reason in [DisputeReason::Differs, DisputeReason::Refuses] {
        let dispute =
            CentralDispute { at: at(if reason == DisputeReason::Differs { 2 } else { 3 }), ..dispute(reason) };
        let open = central_conflict(&level, &dispute);
        store.record_conflict(&open).await.unwrap();
        store.record_conflict(&central_conflict(&level, &dispute)).await.unwrap();
        assert_eq!(store.load_conflict(&level.organization, &open.id).await.unwrap().as_ref(), Some(&open));
        let (choice, by, actor) = (ConflictChoice::Central, Some("key".to_owned()), Default::default());
        let resolution = Some(ConflictResolution { choice, at: at(9), by, actor });
        let settled = Conflict { resolution, ..open };
        assert!(store.settle_conflict(&settled).await.unwrap());
        assert!(!store.settle_conflict(&settled).await.unwrap(), "once");
        assert_eq!(store.load_conflict(&level.organization, &settled.id).await.unwrap(), Some(settled));
    }
}
