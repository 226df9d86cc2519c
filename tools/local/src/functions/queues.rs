//! The queues that the functions are given: this machine's own, or SQS where somebody counts or plays it.

use evenstock_app::{Outgoing, Queue, QueueDepth, QueueError, QueueName};
use evenstock_store::SqsQueues;

use crate::queue::LocalQueues;

/// The queues of the functions.
#[derive(Debug, Clone)]
pub enum Queues {
    /// In a file of this machine.
    Local(LocalQueues),
    /// On SQS.
    Sqs(SqsQueues),
}

impl From<&LocalQueues> for Queues {
    fn from(queues: &LocalQueues) -> Self {
        Self::Local(queues.clone())
    }
}

impl From<SqsQueues> for Queues {
    fn from(queues: SqsQueues) -> Self {
        Self::Sqs(queues)
    }
}

impl Queue for Queues {
    async fn send(&self, queue: QueueName, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        match self {
            Self::Local(queues) => Queue::send(queues, queue, messages).await,
            Self::Sqs(queues) => queues.send(queue, messages).await,
        }
    }

    async fn depth(&self, queue: QueueName) -> Result<QueueDepth, QueueError> {
        match self {
            Self::Local(queues) => Queue::depth(queues, queue).await,
            Self::Sqs(queues) => queues.depth(queue).await,
        }
    }
}
