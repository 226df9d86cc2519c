//! The queues and the bus as one function may use them.

use std::sync::Arc;

use evenstock_app::{Outgoing, Queue, QueueDepth, QueueError, QueueName};

use super::{Call, Rights};
use crate::functions::Queues;
use crate::queue::logical_id;

/// The queues, with the rights of the function that uses them.
#[derive(Debug, Clone)]
pub(crate) struct OwnQueues {
    queues: Queues,
    /// `None` for this machine itself, which may do everything.
    rights: Option<Arc<Rights>>,
}

impl OwnQueues {
    pub(crate) const fn new(queues: Queues, rights: Option<Arc<Rights>>) -> Self {
        Self { queues, rights }
    }

    fn check(&self, action: &str, queue: QueueName) -> Result<(), QueueError> {
        let call = Call::new(action, logical_id(queue));
        let checked = self.rights.as_ref().map_or(Ok(()), |rights| rights.check(&call));
        checked.map_err(|denied| QueueError(Box::new(denied)))
    }
}

impl Queue for OwnQueues {
    async fn send(&self, queue: QueueName, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        self.check("sqs:SendMessage", queue)?;
        Queue::send(&self.queues, queue, messages).await
    }

    async fn depth(&self, queue: QueueName) -> Result<QueueDepth, QueueError> {
        self.check("sqs:GetQueueAttributes", queue)?;
        Queue::depth(&self.queues, queue).await
    }
}
