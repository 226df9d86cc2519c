//! Waiting for changes. Time is simulated: it runs as soon as nothing else does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use evenstock_app::Clock;
use evenstock_app::testing::Fault;
use futures::future::join_all;
use lambda_http::Context;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{CONTRACT, Function, seqs};

const WAIT: &str = "/replication/changes?fromOffset=0&longPollSeconds=20";

#[tokio::test(start_paused = true)]
async fn wait_ends_when_it_was_asked_to_and_looks_seldom() {
    let function = Function::new();
    let begun = Instant::now();
    let reply = function.get(WAIT).await;
    assert_eq!(reply.body, json!({ "events": [], "nextOffset": 0, "hasMore": false }));
    assert_eq!(begun.elapsed().as_secs(), 20);
    let looks = function.looks.load(Ordering::SeqCst);
    assert!((15..=30).contains(&looks), "{looks} looks in 20 s");
    let begun = Instant::now();
    function.get("/replication/changes?fromOffset=0").await;
    assert_eq!(begun.elapsed().as_millis(), 0, "no wait unless asked for");
}

#[tokio::test(start_paused = true)]
async fn wait_ends_early_when_a_change_arrives() {
    let function = Function::new();
    let begun = Instant::now();
    let (reply, ()) = tokio::join!(function.get(WAIT), async {
        sleep(Duration::from_millis(7300)).await;
        function.changed("a", "main", 1).await;
    });
    assert_eq!(seqs(&reply), [1]);
    assert!(begun.elapsed() < Duration::from_millis(8400), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn two_hundred_waiters_share_their_looks_and_all_hear_of_a_change() {
    let function = Function::new();
    let begun = Instant::now();
    let (replies, looks) = tokio::join!(join_all((0..200).map(|_| function.get(WAIT))), async {
        sleep(Duration::from_millis(10)).await;
        let before = function.looks.load(Ordering::SeqCst);
        sleep(Duration::from_secs(10)).await;
        let looks = function.looks.load(Ordering::SeqCst) - before;
        function.changed("a", "main", 1).await;
        looks
    });
    assert!(looks <= 45, "{looks} looks in 10 s");
    assert!(replies.iter().all(|reply| seqs(reply) == [1]));
    assert!(begun.elapsed() < Duration::from_millis(11_200), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn waiters_of_one_organization_do_not_hear_of_another() {
    let function = Function::new();
    let (theirs, ours, ()) =
        tokio::join!(function.get_as("shop", WAIT), function.get(WAIT), function.changed("a", "main", 1));
    assert_eq!((seqs(&theirs).len(), seqs(&ours).len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn wait_ends_a_second_before_lambda_ends_the_function() {
    let function = Function::new();
    let now = function.replication.clock.now().as_millis();
    let mut context = Context::default();
    context.deadline = u64::try_from(now + 6000).unwrap();
    let begun = Instant::now();
    let request = Request::builder().uri(WAIT).header("x-api-key", "demo").extension(context.clone());
    let reply = CONTRACT.ask(&function.router, request.body(Body::empty()).unwrap()).await;
    assert_eq!((seqs(&reply).len(), begun.elapsed().as_secs()), (0, 5));
    context.deadline = u64::try_from(now + 100).unwrap();
    let request = Request::builder().uri(WAIT).header("x-api-key", "demo").extension(context);
    CONTRACT.ask(&function.router, request.body(Body::empty()).unwrap()).await;
    assert_eq!(begun.elapsed().as_secs(), 5, "no wait when there is no time");
}

#[tokio::test(start_paused = true)]
async fn store_that_fails_in_the_middle_of_a_wait_is_told() {
    let mut calls = 0;
    let function = Function::with_faults(move |_| {
        calls += 1;
        if calls > 3 { Fault::UnknownNotDone } else { Fault::None }
    });
    assert_eq!(function.get(WAIT).await.refusal(), (503, "unavailable"));
}

#[tokio::test(start_paused = true)]
async fn store_that_fails_for_a_moment_does_not_end_a_wait() {
    let mut calls = 0;
    let function = Function::with_faults(move |_| {
        calls += 1;
        if calls == 1 || (4..9).contains(&calls) { Fault::UnknownNotDone } else { Fault::None }
    });
    let (reply, ()) = tokio::join!(function.get(WAIT), async {
        sleep(Duration::from_secs(10)).await;
        function.changed("a", "main", 1).await;
    });
    assert_eq!(seqs(&reply), [1]);
}

#[tokio::test(start_paused = true)]
async fn caller_who_hangs_up_leaves_nothing_behind() {
    let function = Arc::new(Function::new());
    let asking = {
        let function = Arc::clone(&function);
        tokio::spawn(async move { function.get(WAIT).await })
    };
    sleep(Duration::from_secs(2)).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    let looks = function.looks.load(Ordering::SeqCst);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(function.looks.load(Ordering::SeqCst), looks);
    let debug = format!("{:?}", function.replication.watch);
    assert!(!debug.contains("demo"), "{debug}");
}
