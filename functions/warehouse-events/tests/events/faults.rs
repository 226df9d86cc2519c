//! A store that fails in every way, at every call.

use evenstock_app::testing::Fault;
use evenstock_warehouse_events::handle;

use crate::{change, conflicts, function, kafka, letters, units};

#[tokio::test]
async fn batch_given_until_it_succeeds_counts_once_whatever_fails() {
    let changes: Vec<_> = [
        change("A", "wh-2", 1, None, 10),
        change("A", "wh-2", 2, Some(10), 9),
        change("A", "wh-2", 3, Some(5), 4),
        change("B", "wh-1", 4, None, 7),
        change("B", "wh-1", 5, Some(3), 2),
    ]
    .into();
    for kind in [Fault::NotDone, Fault::UnknownDone, Fault::UnknownNotDone] {
        for first in 0..12 {
            let mut call = 0;
            let function = function(move |_| {
                call += 1;
                if (first..first + 30).contains(&call) { kind } else { Fault::None }
            })
            .await;
            let mut tries = 0;
            while handle(&function, kafka(&changes)).await.is_err() {
                tries += 1;
                assert!(tries < 50, "{kind:?} from {first}");
            }
            assert_eq!(units(&function, "other", "A", "wh-2").await, Some((4, 3)), "{kind:?} from {first}");
            assert_eq!(units(&function, "demo", "B", "wh-1").await, Some((7, 1)), "{kind:?} from {first}");
            assert_eq!(conflicts(&function, "other").await.len(), 1);
            assert_eq!(conflicts(&function, "demo").await.len(), 1);
            assert_eq!(letters(&function).len(), 0);
        }
    }
}
