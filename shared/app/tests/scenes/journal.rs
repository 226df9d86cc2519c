//! A level whose journal's tail is exactly a page.

use evenstock_domain::{PAGE_ENTRIES, RECENT_ENTRIES_MAX};

use crate::stage::{Stage, available, delta, key};

/// So many events that the page is stored to make room, of which none needs any.
#[tokio::test]
async fn counts_that_confirm_a_level_leave_its_newest_entry_where_it_is() {
    let (stage, shirt) = (Stage::new(), key("SHIRT", "main"));
    stage.apply(&shirt, &[stage.event("first", "shop", available(100))]).await;
    for n in 1..PAGE_ENTRIES {
        stage.clock.advance_ms(1);
        stage.apply(&shirt, &[stage.event(&format!("sale {n}"), "till", delta(-1))]).await;
    }
    let before = stage.level(&shirt).await.unwrap();
    assert_eq!(before.recent.len(), PAGE_ENTRIES);

    let confirm = |n| {
        stage.clock.advance_ms(1);
        stage.event(&format!("confirmed {n}"), "shop", available(before.available))
    };
    let confirmed: Vec<_> = (0..=RECENT_ENTRIES_MAX - PAGE_ENTRIES).map(confirm).collect();
    stage.apply(&shirt, &confirmed).await;
    let after = stage.level(&shirt).await.unwrap();
    assert_eq!(after.recent.last(), before.recent.last());
    assert_eq!((after.available, after.version), (before.available, before.version));
    assert_eq!(after.observed.map(|mark| mark.time), confirmed.last().map(|last| last.time), "they were all taken");
}
