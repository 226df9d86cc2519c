//! The copy on disk, alone and against a centre that says things in every order.

use std::collections::BTreeMap;

use super::*;

fn about(product: &str, version: u64, available: i64, reserved: Option<i64>) -> About {
    let saying = Saying { version, available, reserved, at: Timestamp::EPOCH };
    About { product: product.to_owned(), store: "s".to_owned(), saying }
}

fn owner() -> Owner {
    Owner { centre: "http://centre/".to_owned(), key_mark: vec![1] }
}

async fn available(cache: &Cache, product: &str) -> Option<i64> {
    cache.levels(product, Some("s")).await.unwrap().first().map(|level| level.available)
}

#[tokio::test]
async fn copy_in_use_answers_until_the_next_snapshot_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("cache.sqlite")).unwrap();
    assert_eq!(cache.progress().await.unwrap().offset, None);
    cache.begin_snapshot().await.unwrap();
    cache.add_to_snapshot(vec![about("old", 9, 90, Some(0)), about("kept", 9, 91, Some(0))]).await.unwrap();
    assert_eq!(available(&cache, "old").await, None, "unfinished");
    cache.finish_snapshot(7, owner()).await.unwrap();
    assert_eq!(available(&cache, "old").await, Some(90));

    cache.begin_snapshot().await.unwrap();
    cache.add_to_snapshot(vec![about("unfinished", 1, 1, Some(0))]).await.unwrap();
    cache.begin_snapshot().await.unwrap();
    cache.add_to_snapshot(vec![about("kept", 2, 20, Some(0))]).await.unwrap();
    assert_eq!((available(&cache, "old").await, available(&cache, "kept").await), (Some(90), Some(91)));
    cache.finish_snapshot(3, owner()).await.unwrap();
    assert_eq!(available(&cache, "old").await, None, "the centre no longer names it");
    assert_eq!(available(&cache, "unfinished").await, None);
    assert_eq!(available(&cache, "kept").await, Some(20), "versions of the former copy do not count");
    assert_eq!(cache.progress().await.unwrap().offset, Some(3));
}

#[tokio::test]
async fn answer_to_a_write_during_a_snapshot_is_in_both_copies() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("cache.sqlite")).unwrap();
    cache.begin_snapshot().await.unwrap();
    cache.apply_answers(vec![about("first", 1, 5, None)]).await.unwrap();
    cache.finish_snapshot(1, owner()).await.unwrap();
    assert_eq!(available(&cache, "first").await, Some(5), "created after its page was read");

    cache.begin_snapshot().await.unwrap();
    cache.apply_answers(vec![about("second", 1, 6, None)]).await.unwrap();
    assert_eq!(available(&cache, "second").await, Some(6));
    cache.add_to_snapshot(vec![about("first", 1, 5, Some(2))]).await.unwrap();
    cache.finish_snapshot(1, owner()).await.unwrap();
    assert_eq!(available(&cache, "second").await, Some(6));
    assert_eq!(cache.levels("first", None).await.unwrap()[0].reserved, 2);
}

#[tokio::test]
async fn offset_and_changes_stand_or_fall_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cache.sqlite");
    let cache = Cache::open(&file).unwrap();
    cache.begin_snapshot().await.unwrap();
    cache.finish_snapshot(1, owner()).await.unwrap();
    // A number that SQLite cannot hold fails the second change.
    let changes = vec![about("a", 1, 1, Some(0)), about("a", u64::MAX, 1, Some(0))];
    assert!(cache.apply_changes(changes, 3, None).await.is_err());
    assert_eq!((available(&cache, "a").await, cache.progress().await.unwrap().offset), (None, Some(1)));
    cache.apply_changes(vec![about("a", 1, 1, Some(0))], 2, Some(Timestamp::EPOCH)).await.unwrap();
    drop(cache);
    let cache = Cache::open(&file).unwrap();
    let progress = cache.progress().await.unwrap();
    let claimant = Owner { centre: "http://other/".to_owned(), key_mark: vec![2] };
    assert_eq!(progress, Progress { offset: Some(2), level_at: Some(Timestamp::EPOCH) });
    assert_eq!((available(&cache, "a").await, cache.owner(&claimant).unwrap()), (Some(1), owner()));
}

/// A centre with a few levels, and everything that it ever said.
#[derive(Default)]
struct Truth {
    levels: BTreeMap<(usize, usize), (u64, i64, i64)>,
    /// What the feed says, with `seq` from 1.
    feed: Vec<About>,
}

impl Truth {
    fn saying(&self, level: (usize, usize), tells_reserved: bool) -> About {
        let (version, available, reserved) = self.levels[&level];
        let at = Timestamp::EPOCH.plus_millis(i64::try_from(version).unwrap());
        let saying = Saying { version, available, reserved: tells_reserved.then_some(reserved), at };
        About { product: format!("p{}", level.0), store: format!("s{}", level.1), saying }
    }

    fn change(&mut self, random: &mut fastrand::Rng) -> (usize, usize) {
        let name = (random.usize(0..3), random.usize(0..2));
        let level = self.levels.entry(name).or_default();
        *level = (level.0 + 1, random.i64(-5..50), random.i64(0..9));
        self.feed.push(self.saying(name, true));
        name
    }
}

/// Changes at the centre, answers to writes ahead of the feed, repeated pages, snapshots that are read page by page while
/// things change and that are given up half way, and ends of the process: after the feed was followed to its head, the
/// copy is the centre's stock.
#[tokio::test]
async fn copy_equals_the_centre_whatever_way_and_order_it_was_told_in() {
    for seed in 0..15 {
        let mut random = fastrand::Rng::with_seed(seed);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cache.sqlite");
        let (mut cache, mut truth) = (Cache::open(&file).unwrap(), Truth::default());
        // The snapshot under way: its offset and the products that are still to be read.
        let mut snapshot: Option<(u64, Vec<usize>)> = None;
        for _ in 0..120 {
            let changed = truth.change(&mut random);
            let offset = cache.progress().await.unwrap().offset;
            match random.u32(0..10) {
                0 => cache.apply_answers(vec![truth.saying(changed, false)]).await.unwrap(),
                1 => {
                    cache.begin_snapshot().await.unwrap();
                    let back = random.usize(0..4);
                    let head = u64::try_from(truth.feed.len().saturating_sub(back)).unwrap();
                    snapshot = Some((head, vec![0, 1, 2]));
                }
                2..5 => match snapshot.as_mut().map(|(offset, rest)| (*offset, rest.pop())) {
                    Some((_, Some(product))) => {
                        let names: Vec<_> = truth.levels.keys().filter(|name| name.0 == product).copied().collect();
                        let page = names.into_iter().map(|name| truth.saying(name, true)).collect();
                        cache.add_to_snapshot(page).await.unwrap();
                    }
                    Some((offset, None)) => {
                        cache.finish_snapshot(offset, owner()).await.unwrap();
                        snapshot = None;
                    }
                    None => {}
                },
                5..9 => {
                    if let Some(offset) = offset {
                        let from = usize::try_from(offset).unwrap();
                        let to = random.usize(from..=truth.feed.len());
                        // Some of what is known already comes again.
                        let again = from.saturating_sub(random.usize(0..5));
                        let page = truth.feed[again..to].to_vec();
                        cache.apply_changes(page, u64::try_from(to).unwrap(), None).await.unwrap();
                    }
                }
                _ => {
                    drop(cache);
                    cache = Cache::open(&file).unwrap();
                    snapshot = None;
                }
            }
        }
        let Some(offset) = cache.progress().await.unwrap().offset else {
            continue;
        };
        let rest = truth.feed[usize::try_from(offset).unwrap()..].to_vec();
        cache.apply_changes(rest, u64::try_from(truth.feed.len()).unwrap(), None).await.unwrap();
        for (name, (version, available, reserved)) in &truth.levels {
            let levels = cache.levels(&format!("p{}", name.0), Some(&format!("s{}", name.1))).await.unwrap();
            let known: Vec<_> = levels.iter().map(|known| (known.version, known.available, known.reserved)).collect();
            assert_eq!(known, [(*version, *available, *reserved)], "seed {seed}: {name:?}");
        }
    }
}
