//! The product from end to end: one suite, two targets.
//!
//! Without further ado it runs against the local runner. `make e2e` deploys `template.yaml` to an AWS endpoint and says
//! where in the environment; then the same checks go through the AWS APIs. What a target lacks is left out, and said.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test reports by panicking"
)]

mod aws;
mod checks;
mod local;
mod marketplace;
mod target;

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, join_all};
use marketplace::Marketplace;
use target::{Part, Target};

type Check = fn(Arc<Target>, Arc<Marketplace>) -> BoxFuture<'static, ()>;

/// What is checked, and the parts of the target that it takes.
const CHECKS: &[(&str, &[Part], Check)] = &[
    ("delivery: webhook, queue, level", &[], |target, _| checks::delivery(target).boxed()),
    ("update: API, stream, feed", &[], |target, _| checks::feed(target).boxed()),
    ("journal: updates, pages, history", &[], |target, _| checks::journal(target).boxed()),
    ("callback: update, stream, queue, signed call", &[], |target, market| checks::callback(target, market).boxed()),
    ("poll: schedule, marketplace, queue, level", &[], |target, market| checks::poll(target, market).boxed()),
    ("reservation: schedule, expiry, level", &[], |target, _| checks::expiry(target).boxed()),
    ("store sync: import, schedule, queue, import again", &[], |target, market| {
        checks::store_sync(target, market).boxed()
    }),
    ("keys: made, used, withdrawn, audited", &[], |target, _| checks::keys(target).boxed()),
    ("routes: all of the API's are deployed", &[Part::Gateway], |target, _| checks::routes(target).boxed()),
    ("bad message: dead letter, the rest of its batch applied", &[Part::QueueAccess], |target, _| {
        checks::dead_letter(target).boxed()
    }),
    ("redrive: a dead letter comes back and is applied", &[Part::QueueAccess], |target, _| {
        checks::redrive(target).boxed()
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn product_works_from_end_to_end() {
    let marketplace = Arc::new(Marketplace::start().await);
    let target = Arc::new(Target::start(&marketplace.url()).await);
    println!("target: {}", target.name());
    let mut running = Vec::new();
    for (name, parts, check) in CHECKS {
        let mut lacks = Vec::new();
        for part in *parts {
            lacks.extend(target.lack(*part).await);
        }
        if lacks.is_empty() {
            running.push((*name, tokio::spawn(check(Arc::clone(&target), Arc::clone(&marketplace)))));
        } else {
            println!("LEFT OUT  {name}: {}", lacks.join("; "));
        }
    }
    let ended = join_all(running.into_iter().map(|(name, check)| async move { (name, check.await) })).await;
    for (name, result) in &ended {
        println!("{}  {name}", if result.is_ok() { "ok      " } else { "FAILED  " });
    }
    assert!(ended.iter().all(|(_, result)| result.is_ok()), "the messages of the failed checks stand above");
}
