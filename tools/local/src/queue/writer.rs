//! One thread owns the `SQLite` connection and commits everything that waits in one transaction: an `fsync` is paid
//! once for all callers of the moment, not once for each, and only if one of them was promised that it is on disk.
//!
//! Must not know what is read or written.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;
use tracing::error;

use super::LocalQueueError;

/// Calls that one transaction takes, so that the first of them does not wait for an endless stream of others.
const GROUP_MAX: usize = 512;

/// What a call's changes outlive beside the process's own death, which all of them do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlives {
    /// A power cut: the answer waits for the disk.
    PowerCut,
    /// No more than that. For what may be undone because it is then done again.
    Crash,
}

type NowMs = Box<dyn Fn() -> i64 + Send + Sync>;

/// Runs calls on the thread that owns the connection. Dropping it ends the thread once the calls made so far are done.
pub(super) struct Writer {
    calls: Option<Sender<Box<dyn Call>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(connection: Connection, now_ms: NowMs) -> std::io::Result<Self> {
        let (calls, waiting) = channel();
        let thread =
            Builder::new().name("queue-writer".to_owned()).spawn(move || work(connection, &now_ms, &waiting))?;
        Ok(Self { calls: Some(calls), thread: Mutex::new(Some(thread)) })
    }

    /// Runs `work` with the time in milliseconds, and answers after a commit that outlives so much. `committed` is run then too, even when
    /// the caller no longer waits.
    pub(super) async fn call<T, W, C>(&self, outlives: Outlives, work: W, committed: C) -> Result<T, LocalQueueError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection, i64) -> rusqlite::Result<T> + Send + 'static,
        C: FnOnce() + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let call = Pending { outlives, work: Some(work), result: None, committed, reply };
        let calls = self.calls.as_ref().ok_or(LocalQueueError::Stopped)?;
        calls.send(Box::new(call)).map_err(|_| LocalQueueError::Stopped)?;
        answer.await.unwrap_or(Err(LocalQueueError::Stopped))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.calls = None;
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!("the queue's thread had panicked");
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

trait Call: Send {
    /// What its changes must outlive.
    fn outlives(&self) -> Outlives;

    /// Does the work inside the group's transaction.
    fn run(&mut self, connection: &Connection, now_ms: i64) -> rusqlite::Result<()>;

    /// Answers the caller with what became of the transaction.
    fn settle(self: Box<Self>, outcome: Result<(), Arc<rusqlite::Error>>);
}

struct Pending<T, W, C> {
    outlives: Outlives,
    work: Option<W>,
    result: Option<T>,
    committed: C,
    reply: oneshot::Sender<Result<T, LocalQueueError>>,
}

impl<T, W, C> Call for Pending<T, W, C>
where
    T: Send,
    W: FnOnce(&Connection, i64) -> rusqlite::Result<T> + Send,
    C: FnOnce() + Send,
{
    fn outlives(&self) -> Outlives {
        self.outlives
    }

    fn run(&mut self, connection: &Connection, now_ms: i64) -> rusqlite::Result<()> {
        if let Some(work) = self.work.take() {
            self.result = Some(work(connection, now_ms)?);
        }
        Ok(())
    }

    fn settle(self: Box<Self>, outcome: Result<(), Arc<rusqlite::Error>>) {
        let Self { result, committed, reply, .. } = *self;
        let answer = match outcome {
            Ok(()) => {
                committed();
                result.ok_or(LocalQueueError::Stopped)
            }
            Err(error) => Err(LocalQueueError::Storage(error)),
        };
        // A caller that no longer waits has no use for the answer.
        drop(reply.send(answer));
    }
}

fn work(mut connection: Connection, now_ms: &NowMs, calls: &Receiver<Box<dyn Call>>) {
    let mut synced = None;
    while let Ok(first) = calls.recv() {
        let mut group = vec![first];
        group.extend(calls.try_iter().take(GROUP_MAX - 1));
        let outcome = sync_for(&connection, &group, &mut synced);
        let outcome = outcome.and_then(|()| commit(&mut connection, &mut group, now_ms())).map_err(Arc::new);
        if let Err(error) = &outcome {
            error!(calls = group.len(), "a group of queue operations failed: {error}");
        }
        for call in group {
            call.settle(outcome.clone());
        }
    }
}

/// Makes the next commit wait for the disk if one of the group must outlive a power cut; with it, all that was committed
/// before does.
fn sync_for(connection: &Connection, group: &[Box<dyn Call>], synced: &mut Option<Outlives>) -> rusqlite::Result<()> {
    let waits = group.iter().any(|call| call.outlives() == Outlives::PowerCut);
    let (wanted, mode) = if waits { (Outlives::PowerCut, "FULL") } else { (Outlives::Crash, "NORMAL") };
    if *synced != Some(wanted) {
        *synced = None;
        connection.pragma_update(None, "synchronous", mode)?;
        *synced = Some(wanted);
    }
    Ok(())
}

/// What fails here is the disk, so it fails for everybody: the group stands or falls together.
fn commit(connection: &mut Connection, group: &mut [Box<dyn Call>], now_ms: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for call in group {
        call.run(&transaction, now_ms)?;
    }
    transaction.commit()
}
