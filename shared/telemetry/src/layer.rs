//! Turns the spans of `tracing` into those of OpenTelemetry. Only there when telemetry is sent.
//!
//! Fields that begin with `otel.` are about the span itself: `otel.name`, `otel.kind` (server, client, producer,
//! consumer), `otel.links` (headers `traceparent`, separated by spaces), `otel.status_code` (`ERROR`).

use core::fmt::Debug;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::export::Exporter;
use crate::otlp::{Attribute, DoneSpan};
use crate::{TraceContext, ambient};

/// Where spans come from that are ours. Libraries make others, of no interest to who reads ours.
const OURS: &str = "evenstock";

/// The longest text of an attribute, in bytes: ids are shorter.
const TEXT_BYTES_MAX: usize = 512;

/// Gives ended spans to an exporter.
#[derive(Debug)]
pub struct SpanLayer(Arc<Exporter>);

impl SpanLayer {
    /// Spans go to `exporter`.
    pub const fn new(exporter: Arc<Exporter>) -> Self {
        Self(exporter)
    }

    /// Whether a span is one of ours.
    pub fn wants(metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target().starts_with(OURS)
    }

    fn begin(&self, attributes: &Attributes<'_>, parent: Option<TraceContext>) -> DoneSpan {
        let span_id = fastrand::u64(1..).to_be_bytes();
        let context = match &parent {
            Some(parent) => parent.at(span_id),
            None => TraceContext::new(fastrand::u128(1..).to_be_bytes(), span_id, true),
        };
        let mut span = DoneSpan {
            context,
            parent: parent.map(|parent| parent.span_id()),
            name: attributes.metadata().name().to_owned(),
            kind: kind(""),
            begun_ns: self.0.now_ns(),
            ended_ns: 0,
            attributes: Vec::new(),
            links: Vec::new(),
            is_error: false,
        };
        attributes.record(&mut Fields(&mut span));
        span
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, subscriber: Context<'_, S>) {
        let Some(span) = subscriber.span(id) else {
            return;
        };
        let named = attributes.parent().and_then(|parent| {
            let parent = subscriber.span(parent)?;
            let extensions = parent.extensions();
            extensions.get::<DoneSpan>().map(|span| span.context.clone())
        });
        // The innermost place that was entered is the span around this one, or where a message came from.
        let parent = named.or_else(ambient::current);
        // Who began the trace decided that nobody records it.
        if parent.as_ref().is_none_or(TraceContext::is_sampled) {
            span.extensions_mut().insert(self.begin(attributes, parent));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, subscriber: Context<'_, S>) {
        if let Some(span) = subscriber.span(id)
            && let Some(begun) = span.extensions_mut().get_mut::<DoneSpan>()
        {
            values.record(&mut Fields(begun));
        }
    }

    fn on_enter(&self, id: &Id, subscriber: Context<'_, S>) {
        if let Some(span) = subscriber.span(id)
            && let Some(begun) = span.extensions().get::<DoneSpan>()
        {
            ambient::enter(id.into_u64(), begun.context.clone());
        }
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        ambient::leave(id.into_u64());
    }

    fn on_close(&self, id: Id, subscriber: Context<'_, S>) {
        let done = subscriber.span(&id).and_then(|span| span.extensions_mut().remove::<DoneSpan>());
        if let Some(done) = done {
            self.0.add(DoneSpan { ended_ns: self.0.now_ns(), ..done });
        }
    }
}

const fn kind(name: &str) -> u8 {
    match name.as_bytes() {
        b"server" => 2,
        b"client" => 3,
        b"producer" => 4,
        b"consumer" => 5,
        _ => 1,
    }
}

struct Fields<'a>(&'a mut DoneSpan);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Attribute) {
        match self.0.attributes.iter_mut().find(|(name, _)| name == field.name()) {
            Some((_, known)) => *known = value,
            None => self.0.attributes.push((field.name().to_owned(), value)),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, text: &str) {
        match field.name() {
            "otel.name" => self.0.name = text.to_owned(),
            "otel.kind" => self.0.kind = kind(text),
            "otel.links" => {
                self.0.links = text.split(' ').filter_map(|link| TraceContext::parse(link, None)).collect();
            }
            "otel.status_code" => self.0.is_error = text == "ERROR",
            // It is what the span is in.
            "trace_id" => {}
            _ => {
                let end = text.floor_char_boundary(TEXT_BYTES_MAX);
                self.put(field, Attribute::Text(text.get(..end).unwrap_or_default().to_owned()));
            }
        }
    }

    fn record_i64(&mut self, field: &Field, number: i64) {
        self.put(field, Attribute::Number(number));
    }

    fn record_u64(&mut self, field: &Field, number: u64) {
        self.put(field, Attribute::Number(i64::try_from(number).unwrap_or(i64::MAX)));
    }

    fn record_bool(&mut self, field: &Field, truth: bool) {
        self.put(field, Attribute::Truth(truth));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
