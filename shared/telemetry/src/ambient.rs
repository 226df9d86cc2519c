//! The place in a trace that the running work belongs to. Whoever sends a message or a request takes it from here, so
//! that no use case has to hand it on.
//!
//! The places belong to the thread, and each poll of a future enters and leaves its own, as `tracing` does with spans.

use core::future::poll_fn;
use core::pin::pin;
use std::cell::RefCell;

use crate::TraceContext;

/// Stands for a place that was entered without a span.
const NO_SPAN: u64 = 0;

thread_local! {
    /// What was entered, the innermost last; with the id of the span that stands for it.
    static ENTERED: RefCell<Vec<(u64, TraceContext)>> = const { RefCell::new(Vec::new()) };
}

/// Where in a trace the running work is; `None` when it belongs to none.
pub fn current() -> Option<TraceContext> {
    ENTERED.with_borrow(|entered| entered.last().map(|(_, context)| context.clone()))
}

/// Runs `work` as a part of `context`. Without one it belongs to where it is run.
pub async fn within<F: Future>(context: Option<TraceContext>, work: F) -> F::Output {
    let Some(context) = context else {
        return work.await;
    };
    let mut work = pin!(work);
    poll_fn(|task| {
        enter(NO_SPAN, context.clone());
        let _left = Left(NO_SPAN);
        work.as_mut().poll(task)
    })
    .await
}

pub(crate) fn enter(span: u64, context: TraceContext) {
    ENTERED.with_borrow_mut(|entered| entered.push((span, context)));
}

pub(crate) fn leave(span: u64) {
    ENTERED.with_borrow_mut(|entered| {
        if let Some(place) = entered.iter().rposition(|(id, _)| *id == span) {
            entered.remove(place);
        }
    });
}

/// Leaves when it is dropped: also when the work panics.
struct Left(u64);

impl Drop for Left {
    fn drop(&mut self) {
        leave(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(n: u8) -> TraceContext {
        TraceContext::new([n; 16], [n; 8], true)
    }

    #[tokio::test]
    async fn work_knows_its_own_place_while_others_run_in_between() {
        assert_eq!(current(), None);
        let work = async |n: u8| {
            for _ in 0..3 {
                assert_eq!(current(), Some(context(n)));
                tokio::task::yield_now().await;
            }
            within(None, async { assert_eq!(current(), Some(context(n))) }).await;
            within(Some(context(9)), async { assert_eq!(current(), Some(context(9))) }).await;
            assert_eq!(current(), Some(context(n)));
        };
        tokio::join!(within(Some(context(1)), work(1)), within(Some(context(2)), work(2)));
        assert_eq!(current(), None);
    }

    #[test]
    fn panic_leaves_its_place() {
        let work = within(Some(context(1)), async { panic!("on purpose") });
        let run = || futures_now(work);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
        assert_eq!(current(), None);
    }

    fn futures_now(work: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work);
    }
}
