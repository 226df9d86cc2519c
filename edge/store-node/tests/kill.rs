//! Nodes that die at any moment, and a centre that does too: no acknowledged write is lost, none counts twice, and they
//! take effect in the order in which they were acknowledged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "the number of rounds comes from outside")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use support::{Centre, Mode, Node, change, folder};
use tokio::time::sleep;

/// Writes that must have been acknowledged before the centre comes back.
const WRITES: usize = 40;

/// Runs of the test; each has a seed of its own.
fn rounds() -> u64 {
    std::env::var("KILL_ROUNDS").ok().map_or(2, |rounds| rounds.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn node_killed_at_any_moment_loses_no_write_and_sends_none_twice() {
    for seed in 0..rounds() {
        round(seed).await;
    }
}

async fn round(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut centre, data) = (Centre::start(), folder());
    centre.world().change("SKU", "store-7", 10_000, 0);
    let node = Node::start(&centre, &data).await;
    node.in_contact().await;

    // Some writes reach the centre before it goes away, and some lose their answers then.
    centre.mode(Mode::LosesAnswers);
    let mut acknowledged = Vec::new();
    let mut node = Some(node);
    let mut n = 0;
    while acknowledged.len() < WRITES {
        if acknowledged.len() == 3 {
            centre.kill();
        }
        let running = match node.take() {
            Some(node) => node,
            None => Node::start(&centre, &data).await,
        };
        let key = format!("{seed}/{n}");
        n += 1;
        let request = running.request(reqwest::Method::POST, "/store/inventory/updates");
        let sent = tokio::spawn(request.json(&change("SKU", -1, Some(1), &key)).send());
        if random.u32(0..8) == 0 {
            sleep(Duration::from_micros(random.u64(0..4000))).await;
            running.kill().await;
        } else {
            node = Some(running);
        }
        if let Ok(answer) = sent.await.unwrap() {
            assert!([200, 202].contains(&answer.status().as_u16()), "seed {seed}: {answer:?}");
            acknowledged.push(key);
        }
    }
    if let Some(node) = node {
        node.kill().await;
    }

    // The centre is back, and slow enough for each kill to find a write on its way.
    centre.restart();
    let mut kills = 0;
    loop {
        centre.mode(if random.u32(0..4) == 0 { Mode::LosesAnswers } else { Mode::Slow(2) });
        let node = Node::start(&centre, &data).await;
        sleep(Duration::from_millis(random.u64(0..150))).await;
        let effects = centre.world().effects.len();
        node.kill().await;
        kills += 1;
        if random.u32(0..5) == 0 {
            centre.kill();
            centre.restart();
        }
        if effects >= acknowledged.len() || kills >= 200 {
            break;
        }
    }
    centre.mode(Mode::Up);
    let node = Node::start(&centre, &data).await;
    let health = node.sent().await;
    assert_eq!(health.body["queue"]["refused"], 0, "seed {seed}");
    assert!(kills >= 3, "seed {seed}: {kills} kills");

    let effects = centre.world().effects.clone();
    let unique: BTreeSet<_> = effects.iter().collect();
    assert_eq!(unique.len(), effects.len(), "seed {seed}: none counts twice");
    let expected: BTreeSet<_> = acknowledged.iter().collect();
    let in_effect: Vec<_> = effects.iter().filter(|key| expected.contains(key)).cloned().collect();
    assert_eq!(in_effect, acknowledged, "seed {seed}: none is lost, and the order is kept");
    let left = 10_000 - i64::try_from(effects.len()).unwrap();
    node.eventually("/store/inventory/SKU", |reply| reply.body["available"] == left).await;
    // Whoever asks again learns that it was done.
    for key in acknowledged.iter().step_by(7) {
        assert_eq!(node.write(&change("SKU", -1, Some(1), key)).await.status, 200, "seed {seed}: {key}");
    }
}
