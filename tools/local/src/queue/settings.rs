//! How queues are set up, and how they fail.

use std::sync::Arc;

/// How a queue treats its messages. Its name is the logical id of the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSettings {
    /// The queue's name.
    pub name: String,
    /// How long a received message stays invisible to others, in milliseconds.
    pub visibility_ms: i64,
    /// How long a message is kept, from when it was first sent, in milliseconds.
    pub retention_ms: i64,
    /// What happens to messages that fail again and again; `None` in a dead-letter queue.
    pub redrive: Option<Redrive>,
}

/// Where a queue puts messages that fail again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// The dead-letter queue's name.
    pub dead_letter: String,
    /// How often a message is received before it goes there.
    pub receives_max: u32,
}

/// Why a queue did not do something.
#[derive(Debug, thiserror::Error)]
pub enum LocalQueueError {
    /// The file cannot be opened or prepared.
    #[error("the queue file cannot be opened")]
    Open(#[source] rusqlite::Error),
    /// The file was written by another version of this program.
    #[error("the queue file has layout {0}, which this version does not read")]
    Layout(i64),
    /// The thread that writes could not be started.
    #[error("the queue's thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// No queue has this name.
    #[error("there is no queue {0}")]
    UnknownQueue(String),
    /// The file could not be read or written. Nothing of the call was kept, except when the disk failed in the very
    /// commit: then either is possible.
    #[error("the queue file cannot be read or written")]
    Storage(#[source] Arc<rusqlite::Error>),
    /// The thread that writes is gone.
    #[error("the queue has stopped")]
    Stopped,
}
