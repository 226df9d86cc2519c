//! Small doubles of the other ports.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use evenstock_domain::Timestamp;

use crate::{Clock, FeedError, FeedPage, Outgoing, Queue, QueueDepth, QueueError, QueueName, StockFeed};

/// A clock that stands still until it is moved, and never waits.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock that shows `now`.
    pub const fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_millis()))
    }

    /// Moves the clock forward.
    pub fn advance_ms(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH.plus_millis(self.0.load(Ordering::SeqCst))
    }

    async fn back_off(&self, _attempt: u32) {
        tokio::task::yield_now().await;
    }
}

/// A queue that keeps what it was given, or is down.
#[derive(Debug, Default)]
pub struct MemoryQueue {
    sent: Mutex<Vec<(QueueName, Outgoing)>>,
    down: AtomicBool,
}

impl MemoryQueue {
    /// Takes it down or brings it back.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Messages sent so far to `queue`, in order.
    pub fn sent(&self, queue: QueueName) -> Vec<Outgoing> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().filter(|(to, _)| *to == queue).map(|(_, message)| message.clone()).collect()
    }

    /// Their bodies.
    pub fn bodies(&self, queue: QueueName) -> Vec<String> {
        self.sent(queue).into_iter().map(|message| message.body).collect()
    }
}

impl MemoryQueue {
    /// How long each message sent so far to `queue` waits, in seconds, in order.
    pub fn delays(&self, queue: QueueName) -> Vec<u16> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().filter(|(to, _)| *to == queue).map(|(_, message)| message.delay_seconds).collect()
    }
}

impl Queue for MemoryQueue {
    async fn send(&self, queue: QueueName, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(QueueError("the queue is down".into()));
        }
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.extend(messages.into_iter().map(|message| (queue, message)));
        Ok(())
    }

    async fn depth(&self, queue: QueueName) -> Result<QueueDepth, QueueError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(QueueError("the queue is down".into()));
        }
        let waiting = self.bodies(queue).len() as u64;
        Ok(QueueDepth { waiting, ..QueueDepth::default() })
    }
}

/// A marketplace that answers as it was told, and remembers what it was asked.
#[derive(Debug, Default)]
pub struct ScriptedFeed {
    answers: Mutex<VecDeque<Result<FeedPage, FeedError>>>,
    asked: Mutex<Vec<(Timestamp, u32)>>,
}

impl ScriptedFeed {
    /// Adds an answer to give. When none is left, pages are empty.
    pub fn then(self, answer: Result<FeedPage, FeedError>) -> Self {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push_back(answer);
        self
    }

    /// `since` and `limit` of each call so far.
    pub fn asked(&self) -> Vec<(Timestamp, u32)> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl StockFeed for ScriptedFeed {
    async fn changed_since(&self, since: Timestamp, limit: u32) -> Result<FeedPage, FeedError> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push((since, limit));
        let answer = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        answer.unwrap_or_else(|| Ok(FeedPage::default()))
    }
}
