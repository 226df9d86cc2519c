//! The queues on SQS.

use std::collections::BTreeMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry};
use evenstock_app::{Outgoing, Queue, QueueDepth, QueueError, QueueName};

/// Messages that one call takes.
const BATCH_MAX: usize = 10;

/// Bytes in one batch, all messages together: what every queue of this kind takes.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// Tries for the messages that SQS leaves out of a batch.
const ATTEMPTS_MAX: u32 = 4;

/// Where a queue is.
#[derive(Debug, Clone)]
pub struct QueueUrls {
    /// The queue's URL.
    pub queue: String,
    /// Its dead-letter queue's URL, where its depth is asked for.
    pub dead_letters: Option<String>,
}

/// The queues that a function may reach.
#[derive(Debug, Clone)]
pub struct SqsQueues {
    client: Client,
    urls: BTreeMap<QueueName, QueueUrls>,
}

impl SqsQueues {
    /// Queues by their names.
    pub fn new(client: Client, urls: BTreeMap<QueueName, QueueUrls>) -> Self {
        Self { client, urls }
    }

    fn urls(&self, queue: QueueName) -> Result<&QueueUrls, QueueError> {
        self.urls.get(&queue).ok_or_else(|| QueueError(format!("{queue:?} is not configured here").into()))
    }

    async fn send_batch(&self, url: &str, messages: &[Outgoing]) -> Result<(), QueueError> {
        let mut waiting: Vec<usize> = (0..messages.len()).collect();
        for _ in 0..ATTEMPTS_MAX {
            let entries = waiting.iter().filter_map(|place| messages.get(*place).map(|message| (place, message)));
            let entries = entries.map(|(place, message)| entry(*place, message)).collect::<Result<_, _>>()?;
            let batch = self.client.send_message_batch().queue_url(url).set_entries(Some(entries));
            let sent = batch.send().await.map_err(|error| QueueError(Box::new(error)))?;
            waiting = sent.failed.iter().filter_map(|failed| failed.id.parse().ok()).collect();
            if sent.failed.is_empty() {
                return Ok(());
            }
            if let Some(failed) = sent.failed.iter().find(|failed| failed.sender_fault) {
                return Err(QueueError(format!("SQS refuses a message: {}", failed.code).into()));
            }
        }
        Err(QueueError(format!("{} messages not sent in {ATTEMPTS_MAX} tries", waiting.len()).into()))
    }

    async fn count(&self, url: &str) -> Result<(u64, u64), QueueError> {
        let wanted = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let ask = self.client.get_queue_attributes().queue_url(url).set_attribute_names(Some(wanted.to_vec()));
        let attributes = ask.send().await.map_err(|error| QueueError(Box::new(error)))?.attributes.unwrap_or_default();
        let read = |name| attributes.get(name).and_then(|count| count.parse().ok()).unwrap_or_default();
        let [waiting, in_flight] = &wanted;
        Ok((read(waiting), read(in_flight)))
    }
}

impl Queue for SqsQueues {
    async fn send(&self, queue: QueueName, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        let url = &self.urls(queue)?.queue;
        let mut rest = messages.as_slice();
        while !rest.is_empty() {
            let (batch, behind) = rest.split_at(batch_len(rest));
            self.send_batch(url, batch).await?;
            rest = behind;
        }
        Ok(())
    }

    async fn depth(&self, queue: QueueName) -> Result<QueueDepth, QueueError> {
        let urls = self.urls(queue)?;
        let (waiting, in_flight) = self.count(&urls.queue).await?;
        let dead = match &urls.dead_letters {
            Some(url) => self.count(url).await?.0,
            None => 0,
        };
        Ok(QueueDepth { waiting, in_flight, dead })
    }
}

/// How many of the first messages go into one batch: at least one.
fn batch_len(messages: &[Outgoing]) -> usize {
    let mut bytes = 0_usize;
    let fits = messages.iter().take(BATCH_MAX).take_while(|message| {
        bytes = bytes.saturating_add(size_of(message));
        bytes <= BATCH_BYTES_MAX
    });
    fits.count().max(1)
}

/// The group makes the queue fair: a busy organization cannot starve the others.
fn entry(place: usize, message: &Outgoing) -> Result<SendMessageBatchRequestEntry, QueueError> {
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(place.to_string())
        .message_body(&message.body)
        .message_group_id(group_of(message))
        .delay_seconds(i32::from(message.delay_seconds));
    for (name, value) in trace_of(message) {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
        entry = entry.message_attributes(name, value.map_err(|error| QueueError(Box::new(error)))?);
    }
    entry.build().map_err(|error| QueueError(Box::new(error)))
}

/// Where in a trace a message was made, as attributes. They count as much as the body does.
fn trace_of(message: &Outgoing) -> Vec<(&'static str, String)> {
    let Some(trace) = &message.trace else {
        return Vec::new();
    };
    let state = trace.tracestate().map(|state| ("tracestate", state.to_owned()));
    [("traceparent", trace.traceparent())].into_iter().chain(state).collect()
}

/// Bytes of a message with its attributes, the words that SQS counts among them.
fn size_of(message: &Outgoing) -> usize {
    let attributes = trace_of(message);
    let attributes = attributes.iter().map(|(name, value)| name.len() + value.len() + "String".len());
    attributes.fold(message.body.len(), usize::saturating_add)
}

/// SQS takes 128 letters, digits and punctuation marks; an organization's name may be more than that.
fn group_of(message: &Outgoing) -> String {
    let allowed = |character: char| character.is_ascii_alphanumeric() || character.is_ascii_punctuation();
    message.organization.as_str().chars().map(|character| if allowed(character) { character } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use evenstock_domain::OrganizationId;

    use super::*;

    #[test]
    fn batches_stay_within_number_and_size() {
        let message = |bytes: usize| Outgoing::now("x".repeat(bytes), OrganizationId::parse("us").unwrap());
        assert_eq!(batch_len(&vec![message(10); 25]), 10);
        assert_eq!(batch_len(&vec![message(100 * 1024); 5]), 2);
        assert_eq!(batch_len(&[message(BATCH_BYTES_MAX), message(1)]), 1);
        assert_eq!(batch_len(&[message(BATCH_BYTES_MAX + 1)]), 1, "its refusal is the queue's to say");
    }

    #[test]
    fn trace_of_a_message_goes_beside_its_body() {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let plain = Outgoing::now("{}".to_owned(), OrganizationId::parse("us").unwrap());
        assert_eq!(entry(0, &plain).unwrap().message_attributes(), None);
        let trace = evenstock_telemetry::TraceContext::parse(header, Some("vendor=1"));
        let traced = Outgoing { trace, ..plain };
        let sent = entry(0, &traced).unwrap();
        let attribute = |name: &str| sent.message_attributes()?.get(name)?.string_value().map(str::to_owned);
        assert_eq!(attribute("traceparent").as_deref(), Some(header));
        assert_eq!(attribute("tracestate").as_deref(), Some("vendor=1"));
        assert_eq!(size_of(&traced), 2 + 11 + 55 + 6 + 10 + 8 + 6);
    }
}
