//! The queues: they repeat, delay and reorder messages, hide those that are in work, and give up on those that failed too
//! often. Sending may fail, wholly or after a part, and may have worked although it says no.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use evenstock_app::{Outgoing, Queue, QueueDepth, QueueError, QueueName};

use crate::laws::Law;
use crate::nature::{Fate, Nature, turn};

/// How long a message in work is hidden, in milliseconds: longer than any function runs.
const HIDDEN_MS: i64 = 90_000;

/// Receives after which a message is given up.
const RECEIVES_MAX: u32 = 5;

#[derive(Debug, Clone)]
struct Message {
    id: String,
    body: String,
    visible_at: i64,
    received: u32,
}

#[derive(Debug, Default)]
struct Lines {
    messages: BTreeMap<QueueName, Vec<Message>>,
    dead: BTreeMap<QueueName, Vec<Message>>,
    sent: u64,
}

/// The queues as every process holds them.
#[derive(Debug, Clone)]
pub(crate) struct SimQueues {
    nature: Arc<Nature>,
    lines: Arc<Mutex<Lines>>,
}

impl SimQueues {
    pub(crate) fn new(nature: &Arc<Nature>) -> Self {
        Self { nature: Arc::clone(nature), lines: Arc::default() }
    }

    /// Takes a message, perhaps twice, and perhaps not for a while.
    pub(crate) fn take(&self, queue: QueueName, message: Outgoing) {
        let copies = if self.nature.strikes(6) { 2 } else { 1 };
        for _ in 0..copies {
            let mut lines = self.lines.lock().unwrap();
            lines.sent += 1;
            let id = format!("m{}", lines.sent);
            let mut body = message.body.clone();
            if queue == QueueName::Callbacks && self.nature.lacks(Law::CallbackId) {
                body = body.replace("\"eventId\":\"evt_", &format!("\"eventId\":\"{id}_"));
            }
            let late = if self.nature.strikes(25) { self.nature.between(0, 20_000) } else { 0 };
            let visible_at = self.nature.now() + i64::from(message.delay_seconds) * 1000 + late;
            lines.messages.entry(queue).or_default().push(Message { id, body, visible_at, received: 0 });
        }
    }

    /// Messages that can be received now.
    pub(crate) fn visible(&self, queue: QueueName) -> usize {
        let lines = self.lines.lock().unwrap();
        let now = self.nature.now();
        lines.messages.get(&queue).map_or(0, |all| all.iter().filter(|one| one.visible_at <= now).count())
    }

    /// When the next message can be received.
    pub(crate) fn next_visible(&self) -> Option<i64> {
        let lines = self.lines.lock().unwrap();
        lines.messages.values().flatten().map(|message| message.visible_at).min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.lock().unwrap().messages.values().all(Vec::is_empty)
    }

    /// Receives up to `most` messages in no order; their ids, and the event that a function is called with.
    pub(crate) fn receive(&self, queue: QueueName, most: usize) -> (Vec<String>, SqsEvent) {
        let mut lines = self.lines.lock().unwrap();
        let Lines { messages, dead, .. } = &mut *lines;
        let all = messages.entry(queue).or_default();
        let now = self.nature.now();
        let (mut ids, mut event) = (Vec::new(), SqsEvent::default());
        for _ in 0..most {
            let visible: Vec<_> = (0..all.len()).filter(|place| all[*place].visible_at <= now).collect();
            if visible.is_empty() {
                break;
            }
            let drawn = self.nature.between(0, visible.len() as i64 - 1) as usize;
            let message = &mut all[visible[drawn]];
            if message.received == RECEIVES_MAX {
                let given_up = all.swap_remove(visible[drawn]);
                self.nature.tell(|| format!("{} is given up", given_up.id));
                dead.entry(queue).or_default().push(given_up);
                continue;
            }
            message.received += 1;
            message.visible_at = now + HIDDEN_MS;
            let mut record = SqsMessage::default();
            record.message_id = Some(message.id.clone());
            record.body = Some(self.body_of(queue, message));
            record.attributes.insert("ApproximateReceiveCount".to_owned(), message.received.to_string());
            ids.push(message.id.clone());
            event.records.push(record);
        }
        drop(lines);
        if self.nature.lacks(Law::AcknowledgeLast) {
            self.acknowledge(queue, &ids);
        }
        (ids, event)
    }

    /// A message's body, as a worker reads it that makes more of a delivery than its event.
    fn body_of(&self, queue: QueueName, message: &Message) -> String {
        let mut body = message.body.clone();
        if queue != QueueName::StockChanges {
            return body;
        }
        if self.nature.lacks(Law::OwnId) {
            body = body.replacen("\"eventId\":\"", &format!("\"eventId\":\"{}-{} ", message.id, message.received), 1);
        }
        if self.nature.lacks(Law::OwnTime) {
            let mut change: serde_json::Value = serde_json::from_str(&body).unwrap();
            let now = evenstock_domain::Timestamp::EPOCH.plus_millis(self.nature.now());
            change["time"] = now.to_string().into();
            body = change.to_string();
        }
        body
    }

    /// Deletes messages. Some come again all the same.
    pub(crate) fn acknowledge(&self, queue: QueueName, ids: &[String]) {
        let comes_again: Vec<_> = ids.iter().filter(|_| self.nature.strikes(2)).collect();
        let mut lines = self.lines.lock().unwrap();
        let all = lines.messages.entry(queue).or_default();
        all.retain(|message| !ids.contains(&message.id) || comes_again.contains(&&message.id));
    }

    /// The messages of these queues that were given up, by their bodies.
    pub(crate) fn dead(&self, queue: QueueName) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.dead.get(&queue).into_iter().flatten().map(|message| message.body.clone()).collect()
    }

    /// Sends everything that was given up once more, as an operator does.
    pub(crate) fn redrive(&self) {
        let mut lines = self.lines.lock().unwrap();
        for (queue, letters) in std::mem::take(&mut lines.dead) {
            let all = lines.messages.entry(queue).or_default();
            all.extend(letters.into_iter().map(|letter| Message { received: 0, ..letter }));
        }
    }
}

impl Queue for SimQueues {
    async fn send(&self, queue: QueueName, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        turn().await;
        let fate = self.nature.fate("send");
        let count = messages.len();
        let sent = match fate {
            Fate::Done | Fate::UnknownDone => count,
            Fate::NotDone => 0,
            Fate::UnknownNotDone => self.nature.between(0, count as i64 - 1).max(0) as usize,
        };
        self.nature.tell(|| format!("{sent} of {count} sent to {queue:?}"));
        messages.into_iter().take(sent).for_each(|message| self.take(queue, message));
        turn().await;
        if fate == Fate::Done { Ok(()) } else { Err(QueueError("the simulation strikes".into())) }
    }

    async fn depth(&self, queue: QueueName) -> Result<QueueDepth, QueueError> {
        turn().await;
        Ok(QueueDepth { waiting: self.visible(queue) as u64, ..QueueDepth::default() })
    }
}
