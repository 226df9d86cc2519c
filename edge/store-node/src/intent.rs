//! A write that a client asked for, and what became of it. Pure.

use evenstock_domain::Timestamp;
use serde_json::{Map, Value, json};

/// A write at this node's store, as the client asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Intent {
    /// The client's idempotency key.
    pub(crate) key: String,
    /// The product.
    pub(crate) product: String,
    /// The change of its available units.
    pub(crate) delta: i64,
    /// The version that the client had seen; `None` for whatever it is.
    pub(crate) version: Option<u64>,
}

impl Intent {
    /// The body that asks the centre for it, with this version.
    pub(crate) fn body(&self, store: &str, version: Option<u64>) -> Value {
        json!({
            "storeId": store, "productId": self.product, "delta": self.delta, "version": version,
            "idempotencyKey": self.key,
        })
    }

    /// The version to send once it had to wait. The key is bound to the whole body, so one that may have reached the
    /// centre already must come with the same version again.
    pub(crate) fn version_after_waiting(&self, may_have_arrived: bool, versionless: bool) -> Option<u64> {
        if versionless && !may_have_arrived { None } else { self.version }
    }
}

/// What became of a kept intent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// It waits.
    Queued,
    /// The centre applied it and answered this.
    Done(Map<String, Value>),
    /// The centre refused it for good.
    Refused(Refusal),
}

/// An error that the centre answered, in its own words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    /// The status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Map<String, Value>,
}

impl Refusal {
    /// Whether the refusal is about the key and not about the stock: a 422 about stock shows the level.
    pub(crate) fn may_be_about_the_key(&self) -> bool {
        self.status == 422 && !self.body.contains_key("current")
    }

    /// Whether the feed refused an offset that it has not reached.
    pub(crate) fn is_about_an_offset_ahead(&self) -> bool {
        let mut details = self.body.get("details").and_then(Value::as_array).into_iter().flatten();
        self.status == 400 && details.any(|detail| detail.get("field").is_some_and(|field| field == "fromOffset"))
    }
}

/// An intent in the queue, or what is left of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    /// Its place in the order of all that were ever queued.
    pub(crate) position: i64,
    /// Where.
    pub(crate) store: String,
    /// What was asked for.
    pub(crate) intent: Intent,
    /// The version that is sent, fixed when it was queued.
    pub(crate) sent_version: Option<u64>,
    /// When it was queued.
    pub(crate) queued_at: Timestamp,
    /// When the centre decided.
    pub(crate) settled_at: Option<Timestamp>,
    /// What became of it.
    pub(crate) outcome: Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_intent_that_cannot_have_arrived_loses_its_version() {
        let intent = Intent { key: "k".to_owned(), product: "p".to_owned(), delta: 1, version: Some(7) };
        assert_eq!(intent.version_after_waiting(false, true), None);
        assert_eq!(intent.version_after_waiting(true, true), Some(7));
        assert_eq!(intent.version_after_waiting(false, false), Some(7));
    }
}
