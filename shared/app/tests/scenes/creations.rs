//! Creations whose write was not answered.

use evenstock_app::testing::Fault;
use evenstock_app::{Clock, Create, CreateResult, create};
use evenstock_domain::{ActorCode, Quantity};

use crate::stage::{Stage, key};

#[tokio::test]
async fn creation_whose_write_was_not_answered_is_settled_without_its_caller() {
    for (fault, was_there) in [(Fault::UnknownDone, true), (Fault::UnknownNotDone, false), (Fault::NotDone, false)] {
        let mut commits = 0;
        let stage = Stage::with(move |operation| {
            commits += u32::from(operation == "commit");
            if operation == "commit" && commits == 1 { fault } else { Fault::None }
        });
        let shirt = key("SHIRT", "main");
        let asked = Create {
            key: shirt.clone(),
            quantity: Quantity::new(5).unwrap(),
            actor: ActorCode(0),
            operation: "create".to_owned(),
            time: stage.clock.now(),
        };
        let created = create(&stage.store, &stage.clock, &stage.ids, &asked).await.unwrap();
        let CreateResult::Created { first, repeated } = created else { panic!("{fault:?}: nobody else made it") };
        assert_eq!((first.version, repeated), (1, was_there), "{fault:?}");
        let level = stage.level(&shirt).await.unwrap();
        assert_eq!((level.available, level.version), (5, 1), "{fault:?}");
    }
}
