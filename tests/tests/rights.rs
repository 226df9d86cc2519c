//! No role allows more than its function needs: everything that it allows was called in the tests that ran before this
//! one and wrote their calls into the folder `RECORD_CALLS`. That it allows enough, those tests have shown themselves:
//! what a role does not allow fails there.
//!
//! `.ci/run test lambda rights` runs them in this order.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use evenstock_local::rights::Record;
use evenstock_local::template::Template;
use evenstock_runtime::Environment;

/// Everything that the roles allow: function, action, resource, and the pattern of a condition if there is one.
fn allowed() -> BTreeSet<[String; 4]> {
    let mut all = BTreeSet::new();
    for (function, statements) in Template::built_in().unwrap().rights {
        for statement in statements {
            let patterns: Vec<_> = statement.conditions.iter().flat_map(|condition| &condition.patterns).collect();
            for (action, resource) in
                statement.actions.iter().flat_map(|action| statement.resources.iter().map(move |thing| (action, thing)))
            {
                let entry = |pattern: &str| [function.as_str(), action, resource, pattern].map(str::to_owned);
                match patterns.as_slice() {
                    [] => all.extend([entry("")]),
                    some => all.extend(some.iter().map(|pattern| entry(pattern))),
                }
            }
        }
    }
    all
}

/// Permissions that no test of this kind can use in reasonable time; each is shown elsewhere. One that is used after all
/// must leave this list.
const SHOWN_ELSEWHERE: [([&str; 4], &str); 10] = [
    (
        ["OrderWorkerFunction", "sqs:SendMessage", "StoreSyncQueue", ""],
        "a slice works for 45 seconds: slice_that_is_over_hands_the_store_to_a_continuation",
    ),
    (
        ["SchedulerFunction", "sqs:SendMessage", "CallbacksQueue", ""],
        "waits are minutes: callbacks_that_are_due_are_queued_and_do_not_hold_up_reservations",
    ),
    (["SchedulerFunction", "dynamodb:UpdateItem", "StockTable", "*#W#*"], "the same"),
    (
        ["SchedulerFunction", "dynamodb:Query", "StockTable", ""],
        "the search for a late event in the pages; all who decide share it, the stock-worker shows it",
    ),
    (["WarehouseEventsFunction", "dynamodb:Query", "StockTable", ""], "the same"),
    (["WarehouseWorkerFunction", "dynamodb:Query", "StockTable", ""], "the same"),
    (
        ["ChannelPublisherFunction", "sqs:SendMessage", "StockPushesDlq", ""],
        "a centre that refuses for good: update_that_it_refuses_for_good_is_a_dead_letter_that_can_be_sent_back",
    ),
    (
        ["ChannelPublisherFunction", "dynamodb:UpdateItem", "StockTable", "metrics"],
        "counters, of which its event counts none; all functions send them alike, the warehouse-events show it",
    ),
    (["OrderWorkerFunction", "dynamodb:UpdateItem", "StockTable", "metrics"], "the same"),
    (["WarehouseWorkerFunction", "dynamodb:UpdateItem", "StockTable", "metrics"], "the same"),
];

/// Everything that was called.
fn called(folder: &Path) -> BTreeSet<[String; 4]> {
    let mut all = BTreeSet::new();
    for made in Record::read(folder).expect("the tests that ran before wrote it") {
        let under = if made.under.is_empty() { vec![String::new()] } else { made.under };
        all.extend(
            under
                .into_iter()
                .map(|pattern| [made.function.clone(), made.action.clone(), made.resource.clone(), pattern]),
        );
    }
    all
}

#[test]
fn everything_that_a_role_allows_is_called() {
    let environment = Environment::of_process();
    let folder = environment.required("RECORD_CALLS").expect("it names the folder; use `.ci/run test lambda rights`");
    let (allowed, called) = (allowed(), called(Path::new(folder)));
    assert!(allowed.len() > 60 && !called.is_empty(), "there is something to compare");
    let show =
        |some: BTreeSet<&[String; 4]>| some.into_iter().map(|parts| parts.join(" ")).collect::<Vec<_>>().join("\n");
    let shown = BTreeSet::from(SHOWN_ELSEWHERE.map(|(permission, _)| permission.map(str::to_owned)));
    let used_after_all = show(shown.intersection(&called).collect());
    assert!(used_after_all.is_empty(), "used, and need no exception:\n{used_after_all}");
    let called_or_shown: BTreeSet<_> = called.union(&shown).cloned().collect();
    let superfluous = show(allowed.difference(&called_or_shown).collect());
    assert!(superfluous.is_empty(), "allowed, and called in no test:\n{superfluous}");
    let missing = show(called.difference(&allowed).collect());
    assert!(missing.is_empty(), "called, and allowed by no role of this template:\n{missing}");
}
