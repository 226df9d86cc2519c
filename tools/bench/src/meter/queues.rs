//! As much of SQS as the functions and their event sources call, in the JSON protocol, in memory.
//!
//! Messages are received once: nothing here fails, so nothing comes again. One that is sent with a delay never comes: no
//! measurement lasts so long.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

#[derive(Debug, Clone)]
struct Message {
    id: String,
    body: String,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Message>,
    in_flight: BTreeMap<String, Message>,
}

#[derive(Debug, Default)]
struct State {
    queues: BTreeMap<String, Queue>,
    sent: u64,
}

/// All queues, made when they are first named.
#[derive(Debug, Default)]
pub(super) struct Queues(Mutex<State>);

impl Queues {
    /// Answers a call. `None`: no such operation is known here.
    pub(super) fn answer(&self, operation: &str, request: &Value) -> Option<Value> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { queues, sent } = &mut *state;
        let queue = queues.entry(text(request, "QueueUrl").to_owned()).or_default();
        let entries = request.get("Entries").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Some(match operation {
            "SendMessage" => queue.take(sent, request),
            "SendMessageBatch" => {
                let taken = entries.iter().map(|entry| {
                    let mut answer = queue.take(sent, entry);
                    if let Some(answer) = answer.as_object_mut() {
                        answer.insert("Id".to_owned(), text(entry, "Id").into());
                    }
                    answer
                });
                json!({ "Successful": taken.collect::<Vec<_>>(), "Failed": [] })
            }
            "ReceiveMessage" => {
                let most = request.get("MaxNumberOfMessages").and_then(Value::as_u64).unwrap_or(1);
                let most = usize::try_from(most).unwrap_or_default().min(queue.waiting.len());
                let messages: Vec<_> = queue.waiting.drain(..most).collect();
                let shown = |message: &Message| json!({ "MessageId": message.id, "ReceiptHandle": message.id, "Body": message.body });
                let answer = json!({ "Messages": messages.iter().map(shown).collect::<Vec<_>>() });
                queue.in_flight.extend(messages.into_iter().map(|message| (message.id.clone(), message)));
                answer
            }
            "DeleteMessageBatch" => {
                let deleted = entries.iter().map(|entry| {
                    queue.in_flight.remove(text(entry, "ReceiptHandle"));
                    json!({ "Id": text(entry, "Id") })
                });
                json!({ "Successful": deleted.collect::<Vec<_>>(), "Failed": [] })
            }
            "GetQueueAttributes" => json!({ "Attributes": {
                "ApproximateNumberOfMessages": queue.waiting.len().to_string(),
                "ApproximateNumberOfMessagesNotVisible": queue.in_flight.len().to_string(),
            } }),
            _ => return None,
        })
    }
}

impl Queue {
    /// The digest stays empty: the SDK does not look at it.
    fn take(&mut self, sent: &mut u64, message: &Value) -> Value {
        *sent += 1;
        let id = format!("message-{sent}");
        if message.get("DelaySeconds").and_then(Value::as_u64).unwrap_or_default() > 0 {
            return json!({ "MessageId": id, "MD5OfMessageBody": "" });
        }
        self.waiting.push_back(Message { id: id.clone(), body: text(message, "MessageBody").to_owned() });
        json!({ "MessageId": id, "MD5OfMessageBody": "" })
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_from_waiting_through_in_flight_to_nowhere() {
        let queues = Queues::default();
        let ask = |operation: &str, mut request: Value| {
            request["QueueUrl"] = "http://sqs/q".into();
            queues.answer(operation, &request).unwrap()
        };
        let depth = || {
            let attributes = ask("GetQueueAttributes", json!({}))["Attributes"].clone();
            let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
            names.map(|name| attributes[name].as_str().unwrap().to_owned())
        };
        let entries: Vec<_> = (0..3).map(|n| json!({ "Id": n.to_string(), "MessageBody": format!("b{n}") })).collect();
        assert_eq!(ask("SendMessageBatch", json!({ "Entries": entries }))["Successful"][2]["Id"], "2");
        let got = ask("ReceiveMessage", json!({ "MaxNumberOfMessages": 2 }));
        assert_eq!((&got["Messages"][1]["Body"], depth()), (&json!("b1"), ["1".to_owned(), "2".to_owned()]));
        let receipt = got["Messages"][0]["ReceiptHandle"].clone();
        ask("DeleteMessageBatch", json!({ "Entries": [{ "Id": "0", "ReceiptHandle": receipt }] }));
        assert_eq!(depth(), ["1".to_owned(), "1".to_owned()]);
        ask("SendMessage", json!({ "MessageBody": "later", "DelaySeconds": 5 }));
        assert_eq!(depth(), ["1".to_owned(), "1".to_owned()], "what is delayed does not come");
        assert_eq!(queues.answer("CreateQueue", &json!({})), None);
    }
}
