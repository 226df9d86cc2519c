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
    let superfluous = show(allowed.difference(&called).collect());
    assert!(superfluous.is_empty(), "allowed, and called in no test:\n{superfluous}");
    let missing = show(called.difference(&allowed).collect());
    assert!(missing.is_empty(), "called, and allowed by no role of this template:\n{missing}");
}
