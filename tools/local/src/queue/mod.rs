//! Durable queues with the semantics of SQS, in one `SQLite` file or in memory.
//!
//! Owns the messages, their visibility, their receipts and their way to the dead-letter queues. Must not know what a
//! message says, nor who works on it. Unlike SQS it does not share out the receives among tenants.

mod dead;
mod messages;
mod settings;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use evenstock_app::{Outgoing, Queue, QueueDepth, QueueError, QueueName};
use rusqlite::Connection;
use tokio::sync::watch;

pub use dead::{DeadLetter, Failure};
pub use messages::Received;
pub use settings::{LocalQueueError, QueueSettings, Redrive};
use writer::{Outlives, Writer};

/// The queues. Clones share them; the file is closed when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct LocalQueues {
    queues: Arc<BTreeMap<String, OpenQueue>>,
    writer: Arc<Writer>,
}

#[derive(Debug, Clone)]
struct OpenQueue {
    settings: Arc<QueueSettings>,
    arrivals: watch::Sender<u64>,
}

impl LocalQueues {
    /// Opens the queues in a file, or in memory without a `path`. `now_ms` is the clock: milliseconds since the Unix
    /// epoch.
    ///
    /// # Errors
    /// [`LocalQueueError::UnknownQueue`] when a dead-letter queue is missing from `queues`; `Open`, `Layout` and
    /// `Thread` when the file cannot be used or the thread not be started.
    pub fn open(
        path: Option<&Path>,
        queues: Vec<QueueSettings>,
        now_ms: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Result<Self, LocalQueueError> {
        let open = queues.into_iter().map(|settings| {
            let queue = OpenQueue { settings: Arc::new(settings), arrivals: watch::Sender::new(0) };
            (queue.settings.name.clone(), queue)
        });
        let queues: BTreeMap<_, _> = open.collect();
        for redrive in queues.values().filter_map(|queue| queue.settings.redrive.as_ref()) {
            if !queues.contains_key(&redrive.dead_letter) {
                return Err(LocalQueueError::UnknownQueue(redrive.dead_letter.clone()));
            }
        }
        let connection = match path {
            Some(path) => Connection::open(path),
            None => Connection::open_in_memory(),
        };
        let connection = connection.map_err(LocalQueueError::Open)?;
        let layout = messages::prepare(&connection).map_err(LocalQueueError::Open)?;
        if layout != messages::LAYOUT {
            return Err(LocalQueueError::Layout(layout));
        }
        let writer = Writer::start(connection, Box::new(now_ms)).map_err(LocalQueueError::Thread)?;
        Ok(Self { queues: Arc::new(queues), writer: Arc::new(writer) })
    }

    fn queue(&self, name: &str) -> Result<OpenQueue, LocalQueueError> {
        self.queues.get(name).cloned().ok_or_else(|| LocalQueueError::UnknownQueue(name.to_owned()))
    }

    /// Sends messages, all or none. They are on disk when this returns.
    ///
    /// # Errors
    /// [`LocalQueueError`] when there is no such queue or its file fails.
    pub async fn send(&self, queue: &str, messages: Vec<Outgoing>) -> Result<(), LocalQueueError> {
        let OpenQueue { settings, arrivals } = self.queue(queue)?;
        let insert =
            move |connection: &Connection, now_ms| messages::insert(connection, &settings.name, &messages, now_ms);
        self.writer.call(Outlives::PowerCut, insert, move || wake(&arrivals)).await
    }

    /// Takes at most `max` visible messages, the one visible longest first, and makes them invisible. One that was
    /// received too often before goes to the dead-letter queue instead.
    ///
    /// Does not wait for messages. A caller that is dropped before the answer leaves the batch invisible until its
    /// visibility has passed.
    ///
    /// # Errors
    /// [`LocalQueueError`] when there is no such queue or its file fails.
    pub async fn receive(&self, queue: &str, max: usize) -> Result<Vec<Received>, LocalQueueError> {
        let OpenQueue { settings, .. } = self.queue(queue)?;
        let receive = move |connection: &Connection, now_ms| messages::receive(connection, &settings, max, now_ms);
        self.writer.call(Outlives::Crash, receive, || ()).await
    }

    /// Deletes the messages that these receipts stand for. After a power cut, not after a crash of this process, some of
    /// them may be there again, and come again. A receipt from before a message's latest receive deletes nothing. Returns
    /// how many were deleted.
    ///
    /// # Errors
    /// [`LocalQueueError`] when there is no such queue or its file fails.
    pub async fn delete(&self, queue: &str, receipts: Vec<String>) -> Result<usize, LocalQueueError> {
        let OpenQueue { settings, .. } = self.queue(queue)?;
        let delete = move |connection: &Connection, _| messages::delete(connection, &settings.name, &receipts);
        self.writer.call(Outlives::Crash, delete, || ()).await
    }

    /// Makes the messages that these receipts stand for visible again `delay_ms` milliseconds from now. A receipt from
    /// before a message's latest receive does nothing. Returns how many were released.
    ///
    /// # Errors
    /// [`LocalQueueError`] when there is no such queue or its file fails.
    pub async fn release(&self, queue: &str, receipts: Vec<String>, delay_ms: i64) -> Result<usize, LocalQueueError> {
        let OpenQueue { settings, arrivals } = self.queue(queue)?;
        let release = move |connection: &Connection, now_ms: i64| {
            messages::show_at(connection, &settings.name, &receipts, now_ms.saturating_add(delay_ms))
        };
        self.writer.call(Outlives::Crash, release, move || wake(&arrivals)).await
    }

    /// Keeps why a received message failed. A receipt from before the message's latest receive keeps nothing.
    ///
    /// # Errors
    /// [`LocalQueueError`] when there is no such queue or its file fails.
    pub async fn note_failure(&self, queue: &str, receipt: String, reason: String) -> Result<(), LocalQueueError> {
        let OpenQueue { settings, .. } = self.queue(queue)?;
        let note = move |connection: &Connection, now_ms| {
            dead::note(connection, &settings.name, &receipt, &reason, now_ms).map(drop)
        };
        self.writer.call(Outlives::Crash, note, || ()).await
    }

    /// A queue's dead letters, the oldest first, at most `limit`. A queue without a source of its own, such as a stream's,
    /// is its own dead-letter queue.
    ///
    /// # Errors
    /// [`LocalQueueError`] when there is no such queue or its file fails.
    pub async fn dead_letters(&self, queue: &str, limit: u32) -> Result<Vec<DeadLetter>, LocalQueueError> {
        let name = self.dead_letter_queue(queue)?;
        self.writer.call(Outlives::Crash, move |connection, _| dead::list(connection, &name, limit), || ()).await
    }

    /// One of them; `None` when there is none of this id.
    ///
    /// # Errors
    /// [`LocalQueueError`] when there is no such queue or its file fails.
    pub async fn dead_letter(&self, queue: &str, message_id: &str) -> Result<Option<DeadLetter>, LocalQueueError> {
        let (name, id) = (self.dead_letter_queue(queue)?, message_id.to_owned());
        self.writer.call(Outlives::Crash, move |connection, _| dead::one(connection, &name, &id), || ()).await
    }

    /// Gives a queue's dead letters back to it, all or one. Returns how many there were.
    ///
    /// # Errors
    /// [`LocalQueueError`] when there is no such queue, it has no dead letters to be given back, or its file fails.
    pub async fn redrive(&self, queue: &str, message_id: Option<String>) -> Result<usize, LocalQueueError> {
        let OpenQueue { settings, arrivals } = self.queue(queue)?;
        let Some(redrive) = settings.redrive.clone() else {
            return Err(LocalQueueError::UnknownQueue(queue.to_owned()));
        };
        let work = move |connection: &Connection, now_ms| {
            dead::redrive(connection, &redrive.dead_letter, &settings.name, message_id.as_deref(), now_ms)
        };
        self.writer.call(Outlives::PowerCut, work, move || wake(&arrivals)).await
    }

    /// The same, with other bodies for those letters that `rewritten` gives one for. Returns how many were given back, and
    /// how many of them say something else now.
    ///
    /// # Errors
    /// [`LocalQueueError`] when there is no such queue, it has no dead letters to be given back, or its file fails.
    pub async fn redrive_rewritten(
        &self,
        queue: &str,
        message_id: Option<String>,
        rewritten: impl Fn(&str) -> Option<String> + Send + 'static,
    ) -> Result<(usize, usize), LocalQueueError> {
        let OpenQueue { settings, arrivals } = self.queue(queue)?;
        let Some(redrive) = settings.redrive.clone() else {
            return Err(LocalQueueError::UnknownQueue(queue.to_owned()));
        };
        let work = move |connection: &Connection, now_ms| {
            let (dead_letter, message_id) = (&redrive.dead_letter, message_id.as_deref());
            let changed = dead::rewrite(connection, dead_letter, message_id, rewritten)?;
            Ok((dead::redrive(connection, dead_letter, &settings.name, message_id, now_ms)?, changed))
        };
        self.writer.call(Outlives::PowerCut, work, move || wake(&arrivals)).await
    }

    fn dead_letter_queue(&self, queue: &str) -> Result<String, LocalQueueError> {
        let OpenQueue { settings, .. } = self.queue(queue)?;
        Ok(settings.redrive.as_ref().map_or_else(|| settings.name.clone(), |redrive| redrive.dead_letter.clone()))
    }

    /// Makes every invisible message visible now; they keep their receive counts. For the start of a process that owns
    /// the file alone: whoever had received them is gone. Returns how many there were.
    ///
    /// # Errors
    /// [`LocalQueueError`] when the file fails.
    pub async fn release_abandoned(&self) -> Result<usize, LocalQueueError> {
        let arrivals: Vec<_> = self.queues.values().map(|queue| queue.arrivals.clone()).collect();
        self.writer.call(Outlives::Crash, messages::show_all, move || arrivals.iter().for_each(wake)).await
    }

    /// Counts a queue's messages, and those in its dead-letter queue.
    ///
    /// # Errors
    /// [`LocalQueueError`] when there is no such queue or its file fails.
    pub async fn depth(&self, queue: &str) -> Result<QueueDepth, LocalQueueError> {
        let OpenQueue { settings, .. } = self.queue(queue)?;
        let dead_letters = match &settings.redrive {
            Some(redrive) => Some(self.queue(&redrive.dead_letter)?.settings),
            None => None,
        };
        let count = move |connection: &Connection, now_ms| {
            let (waiting, in_flight) = messages::count(connection, &settings, now_ms)?;
            let dead = match dead_letters {
                Some(dead_letters) => messages::count(connection, &dead_letters, now_ms)?,
                None => (0, 0),
            };
            Ok(QueueDepth { waiting, in_flight, dead: dead.0.saturating_add(dead.1) })
        };
        self.writer.call(Outlives::Crash, count, || ()).await
    }

    /// Milliseconds until the next message is visible, 0 when one is; `None` when the queue is empty.
    ///
    /// # Errors
    /// [`LocalQueueError`] when there is no such queue or its file fails.
    pub async fn next_visible_in_ms(&self, queue: &str) -> Result<Option<u64>, LocalQueueError> {
        let OpenQueue { settings, .. } = self.queue(queue)?;
        let next = move |connection: &Connection, now_ms: i64| {
            let visible_at = messages::next_visible_at(connection, &settings, now_ms)?;
            Ok(visible_at.map(|visible_at| u64::try_from(visible_at.saturating_sub(now_ms)).unwrap_or_default()))
        };
        self.writer.call(Outlives::Crash, next, || ()).await
    }

    /// Changes whenever messages were sent to the queue or released in it. A receiver marks what it has seen, so
    /// nothing that comes between a look into the queue and the wait is missed.
    ///
    /// # Errors
    /// [`LocalQueueError::UnknownQueue`] when no queue has this name.
    pub fn arrivals(&self, queue: &str) -> Result<watch::Receiver<u64>, LocalQueueError> {
        Ok(self.queue(queue)?.arrivals.subscribe())
    }
}

fn wake(arrivals: &watch::Sender<u64>) {
    arrivals.send_modify(|count| *count = count.wrapping_add(1));
}

/// The queue's logical id in the template.
pub const fn logical_id(queue: QueueName) -> &'static str {
    match queue {
        QueueName::StockChanges => "StockChangesQueue",
        QueueName::PollJobs => "PollJobsQueue",
        QueueName::StoreSync => "StoreSyncQueue",
        QueueName::Callbacks => "CallbacksQueue",
        QueueName::StreamDlq => "StreamDlq",
        QueueName::WarehouseEvents => "WarehouseEventsQueue",
        QueueName::WarehouseEventsDlq => "WarehouseEventsDlq",
        QueueName::WarehouseSync => "WarehouseSyncQueue",
        QueueName::StockPushes => "StockPushesQueue",
        QueueName::StockPushesDlq => "StockPushesDlq",
    }
}

impl Queue for LocalQueues {
    async fn send(&self, queue: QueueName, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        Self::send(self, logical_id(queue), messages).await.map_err(|error| QueueError(Box::new(error)))
    }

    async fn depth(&self, queue: QueueName) -> Result<QueueDepth, QueueError> {
        Self::depth(self, logical_id(queue)).await.map_err(|error| QueueError(Box::new(error)))
    }
}

#[cfg(test)]
mod tests;
