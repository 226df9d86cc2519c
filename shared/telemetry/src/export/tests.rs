//! The layer and the exporter together, with a collector of memory and a clock of hand.

use core::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing::{Instrument, info_span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::{Origins, SpanLayer, TraceContext, current, within};

const ASKED: Duration = Duration::from_millis(250);

/// What a collector of memory was given; whether it takes it.
#[derive(Default)]
struct Collector {
    posts: Mutex<Vec<Post>>,
    is_away: AtomicBool,
}

impl Collector {
    fn bodies(&self, path: &str) -> Vec<Value> {
        let posts = self.posts.lock().unwrap();
        let of_path = posts.iter().filter(|post| post.url.ends_with(path));
        of_path.map(|post| serde_json::from_slice(&post.body).unwrap()).collect()
    }

    fn spans(&self) -> Vec<Value> {
        let bodies = self.bodies("/v1/traces");
        let spans = bodies.iter().map(|body| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap());
        spans.flatten().cloned().collect()
    }
}

fn exporter(clock: fn() -> u64) -> (Arc<Exporter>, Arc<Collector>) {
    let collector = Arc::new(Collector::default());
    let taker = Arc::clone(&collector);
    let transport: Transport = Box::new(move |post, limit| {
        assert_eq!(limit, ASKED);
        taker.posts.lock().unwrap().push(post);
        let is_away = taker.is_away.load(Ordering::Relaxed);
        Box::pin(async move { if is_away { Err("no connection".to_owned()) } else { Ok(()) } })
    });
    let settings = OtlpSettings {
        endpoint: "http://collector".to_owned(),
        is_moved: false,
        headers: vec![("x-key".to_owned(), "k".to_owned())],
        service: "webhook".to_owned(),
    };
    (Arc::new(Exporter::new(settings, &[], transport, clock)), collector)
}

fn listening(exporter: &Arc<Exporter>) -> impl Drop {
    use tracing_subscriber::filter::filter_fn;
    let layer = SpanLayer::new(Arc::clone(exporter)).with_filter(filter_fn(SpanLayer::wants));
    tracing::subscriber::set_default(tracing_subscriber::registry().with(layer))
}

fn span_of(exporter: &Exporter) -> DoneSpan {
    DoneSpan {
        context: TraceContext::new([1; 16], [2; 8], true),
        parent: None,
        name: "it".to_owned(),
        kind: 1,
        begun_ns: exporter.now_ns(),
        ended_ns: exporter.now_ns(),
        attributes: Vec::new(),
        links: Vec::new(),
        is_error: false,
    }
}

#[tokio::test]
async fn spans_of_nested_work_stand_in_one_trace() {
    let (exporter, collector) = exporter(|| 5);
    let incoming = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None);
    {
        let _listening = listening(&exporter);
        let work = async {
            let outer =
                info_span!("outer", otel.name = "GET /x", otel.kind = "server", otel.status_code = "ERROR", n = 3);
            async {
                tokio::task::yield_now().await;
                let sent = current().unwrap();
                async { tokio::task::yield_now().await }.instrument(info_span!("inner", sku.id = %"A")).await;
                assert_eq!(current(), Some(sent));
            }
            .instrument(outer)
            .await;
        };
        within(incoming.clone(), work).await;
        assert_eq!(current(), None);
    }
    exporter.flush(Vec::new, ASKED, false).await;
    let spans = collector.spans();
    let [inner, outer] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!(
        (&outer["name"], &outer["kind"], &outer["status"]),
        (&json!("GET /x"), &json!(2), &json!({ "code": 2 }))
    );
    assert_eq!(outer["parentSpanId"], incoming.as_ref().unwrap().span_id());
    assert_eq!((&inner["name"], &inner["parentSpanId"]), (&json!("inner"), &outer["spanId"]));
    for span in [inner, outer] {
        assert_eq!(span["traceId"], incoming.as_ref().unwrap().trace_id());
    }
    assert_eq!(inner["attributes"], json!([{ "key": "sku.id", "value": { "stringValue": "A" } }]));
    let post = &collector.posts.lock().unwrap()[0];
    assert!(post.headers.contains(&("x-key".to_owned(), "k".to_owned())));
}

#[tokio::test]
async fn span_over_several_origins_begins_a_trace_that_is_linked_to_them() {
    let (exporter, collector) = exporter(|| 5);
    {
        let _listening = listening(&exporter);
        let origins: Origins = [1, 2].map(|n| Some(TraceContext::new([n; 16], [n; 8], true))).into_iter().collect();
        let open = || info_span!("ApplyBatch", otel.links = tracing::field::Empty, trace_id = tracing::field::Empty);
        origins.trace(open, async { assert!(current().is_some()) }).await;
    }
    exporter.flush(Vec::new, ASKED, false).await;
    let spans = collector.spans();
    assert_eq!(spans[0]["parentSpanId"], Value::Null);
    let linked: Vec<_> = spans[0]["links"].as_array().unwrap().iter().map(|link| link["traceId"].clone()).collect();
    assert_eq!(linked, [json!("01".repeat(16)), json!("02".repeat(16))]);
}

#[tokio::test]
async fn trace_that_its_caller_does_not_record_is_passed_on_and_not_sent() {
    let (exporter, collector) = exporter(|| 5);
    let incoming = TraceContext::new([1; 16], [2; 8], false);
    {
        let _listening = listening(&exporter);
        let work = async { assert_eq!(current(), Some(incoming.clone())) };
        let work = async { work.instrument(info_span!("work")).await };
        within(Some(incoming.clone()), work).await;
    }
    exporter.flush(Vec::new, ASKED, true).await;
    assert!(collector.spans().is_empty());
}

static HAND: AtomicU64 = AtomicU64::new(1);

#[tokio::test]
async fn collector_that_is_away_is_left_alone_and_what_is_lost_is_counted() {
    let (exporter, collector) = exporter(|| HAND.load(Ordering::Relaxed));
    collector.is_away.store(true, Ordering::Relaxed);
    exporter.add(span_of(&exporter));
    exporter.flush(Vec::new, ASKED, false).await;
    assert_eq!((exporter.dropped(), collector.spans().len()), (1, 1));

    exporter.add(span_of(&exporter));
    exporter.flush(Vec::new, ASKED, false).await;
    assert_eq!(collector.spans().len(), 1, "it is not asked again so soon");

    collector.is_away.store(false, Ordering::Relaxed);
    HAND.fetch_add(PAUSE_NS, Ordering::Relaxed);
    exporter.flush(Vec::new, ASKED, false).await;
    assert_eq!((exporter.dropped(), collector.spans().len()), (1, 2), "what waited goes with the next request");
    let metrics = collector.bodies("/v1/metrics");
    let metric = &metrics[0]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0];
    assert_eq!(metric["name"], "telemetry_spans_dropped_total");
    assert_eq!(metric["sum"]["dataPoints"][0]["asInt"], "1");
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let (exporter, collector) = exporter(|| 5);
    for _ in 0..SPANS_MAX + 3 {
        exporter.add(span_of(&exporter));
    }
    exporter.flush(Vec::new, ASKED, false).await;
    assert_eq!((exporter.dropped(), collector.spans().len()), (3, SPANS_MAX));
}

#[tokio::test]
async fn metrics_are_sent_now_and_then_and_at_the_end() {
    let (exporter, collector) = exporter(|| 5);
    let metrics = || vec![Metric { name: "inventory_updates_total".to_owned(), unit: "1", measured: Measured::Sum(2) }];
    for _ in 0..3 {
        exporter.flush(metrics, ASKED, false).await;
    }
    assert_eq!(collector.bodies("/v1/metrics").len(), 1);
    exporter.flush(metrics, ASKED, true).await;
    assert_eq!(collector.bodies("/v1/metrics").len(), 2);
}
