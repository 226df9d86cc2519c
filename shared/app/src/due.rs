//! The groups of what is due: in which order a run takes them, and the first page of each.
//!
//! An idle run finds nothing in any group, and would spend its time waiting for one empty answer after the other. So the
//! groups are asked at once; what they hold is worked on one group after the other.

use evenstock_domain::{DUE_BUCKETS, Timestamp};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

use crate::StoreError;

/// How long a run begins with the same group, in milliseconds: each minute's run begins with the next one.
const TURN_MS: i64 = 60_000;

/// All groups, in the order of a run that begins `now`: a flood in one group delays each of the others once, not always
/// the same.
pub(crate) fn groups(now: Timestamp) -> impl Iterator<Item = u8> {
    let turn = now.as_millis().div_euclid(TURN_MS).rem_euclid(i64::from(DUE_BUCKETS));
    let first = u8::try_from(turn).unwrap_or_default();
    (first..DUE_BUCKETS).chain(0..first)
}

/// The answers of all groups, asked at once, in the order of a run that begins `now`. One that cannot be had holds up no
/// other.
pub(crate) async fn ask_all<'a, T: Send + 'a, F>(
    now: Timestamp,
    ask: impl Fn(u8) -> F,
) -> Vec<(u8, Result<T, StoreError>)>
where
    F: Future<Output = Result<T, StoreError>> + Send + 'a,
{
    // Boxed, because callers nest these deeper than the compiler follows types.
    let asked = groups(now).map(|group| {
        let answer = ask(group);
        async move { (group, answer.await) }.boxed()
    });
    let asked: Vec<BoxFuture<'a, _>> = asked.collect();
    futures::stream::iter(asked).buffered(usize::from(DUE_BUCKETS)).collect().await
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn minute(n: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + n * TURN_MS).unwrap()
    }

    #[test]
    fn each_minute_begins_with_the_next_group_and_takes_all() {
        let first = groups(minute(0)).next().unwrap();
        for n in 0..32_u8 {
            let mut all: Vec<_> = groups(minute(n.into())).collect();
            assert_eq!(all.first(), Some(&((first + n) % DUE_BUCKETS)));
            all.sort_unstable();
            assert!(all.into_iter().eq(0..DUE_BUCKETS));
        }
    }

    #[tokio::test]
    async fn groups_are_asked_at_once_and_a_failing_one_holds_up_no_other() {
        let asked = AtomicU32::new(0);
        let asked = &asked;
        let all = ask_all(minute(0), |group| async move {
            asked.fetch_add(1, Ordering::SeqCst);
            // Nobody is answered before all have asked.
            while asked.load(Ordering::SeqCst) < u32::from(DUE_BUCKETS) {
                tokio::task::yield_now().await;
            }
            if group == 3 { Err(StoreError::Unavailable("down".into())) } else { Ok(group) }
        });
        let all = all.await;
        assert!(all.iter().map(|(group, _)| *group).eq(groups(minute(0))));
        assert!(all.iter().all(|(group, answer)| answer.is_ok() == (*group != 3)));
    }
}
