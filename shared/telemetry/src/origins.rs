//! Where the messages of a batch come from. Work on one message goes on with its trace; work on several has no one
//! parent, and is linked to all of them.

use tracing::{Instrument, Span};

use crate::{TraceContext, current, within};

/// Links that a span has, at most: a batch is no larger.
const LINKS_MAX: usize = 128;

/// The places in traces that the messages of a batch belong to, in order.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    each: Vec<Option<TraceContext>>,
}

impl FromIterator<Option<TraceContext>> for Origins {
    fn from_iter<I: IntoIterator<Item = Option<TraceContext>>>(each: I) -> Self {
        Self { each: each.into_iter().collect() }
    }
}

impl Origins {
    /// The one place that all messages come from, if there is one.
    fn shared(&self) -> Option<&TraceContext> {
        let (first, rest) = self.each.split_first()?;
        first.as_ref().filter(|_| rest.iter().all(|other| other == first))
    }

    /// Runs `work` on the whole batch in the span that `open` makes: a child of the one origin, or linked to all of them.
    /// The span's fields `trace_id` and `otel.links` are filled in.
    pub async fn trace<F: Future>(&self, open: impl FnOnce() -> Span, work: F) -> F::Output {
        let shared = self.shared().cloned();
        let links = if shared.is_some() { String::new() } else { self.links() };
        within(shared, async {
            let span = open();
            if !links.is_empty() {
                span.record("otel.links", links);
            }
            if let Some(place) = span.in_scope(current) {
                span.record("trace_id", place.trace_id());
            }
            work.instrument(span).await
        })
        .await
    }

    /// Where work on the message at this place belongs, when that is somewhere else than work on the batch.
    pub fn of(&self, place: usize) -> Option<TraceContext> {
        if self.shared().is_some() { None } else { self.each.get(place).cloned().flatten() }
    }

    /// Some of the messages, as a batch of their own.
    #[must_use]
    pub fn part(&self, places: &[usize]) -> Self {
        if self.shared().is_some() {
            return Self::default();
        }
        places.iter().map(|place| self.each.get(*place).cloned().flatten()).collect()
    }

    /// The message at this place, as a batch of its own: for work that takes them one by one.
    #[must_use]
    pub fn only(&self, place: usize) -> Self {
        self.each.get(place).cloned().into_iter().collect()
    }

    /// The different origins, as headers, separated by spaces.
    fn links(&self) -> String {
        let mut links: Vec<String> = Vec::new();
        for origin in self.each.iter().flatten() {
            let link = origin.traceparent();
            if links.len() < LINKS_MAX && !links.contains(&link) {
                links.push(link);
            }
        }
        links.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(n: u8) -> Option<TraceContext> {
        Some(TraceContext::new([n; 16], [n; 8], true))
    }

    async fn place_of(origins: &Origins) -> Option<TraceContext> {
        origins.trace(Span::none, async { current() }).await
    }

    #[tokio::test]
    async fn batch_of_one_origin_goes_on_with_it() {
        let origins: Origins = [context(1), context(1)].into_iter().collect();
        assert_eq!(place_of(&origins).await, context(1));
        assert_eq!(origins.of(0), None, "the batch is its place");
        assert_eq!(place_of(&origins.part(&[0])).await, None, "and the batch's also of its parts");
    }

    #[tokio::test]
    async fn batch_of_several_origins_has_none_and_its_messages_have_theirs() {
        let origins: Origins = [context(1), None, context(2), context(1)].into_iter().collect();
        assert_eq!(place_of(&origins).await, None);
        assert_eq!((origins.of(0), origins.of(1), origins.of(2)), (context(1), None, context(2)));
        assert_eq!(place_of(&origins.part(&[0, 3])).await, context(1));
        assert_eq!(place_of(&origins.part(&[0, 2])).await, None);
        assert_eq!(origins.links().split(' ').count(), 2);
    }

    #[tokio::test]
    async fn batch_without_origins_belongs_to_where_it_is_run() {
        let origins: Origins = [None, None].into_iter().collect();
        assert_eq!(within(context(3), place_of(&origins)).await, context(3));
        assert_eq!(place_of(&Origins::default()).await, None);
    }
}
