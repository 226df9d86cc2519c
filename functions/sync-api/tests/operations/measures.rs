//! Health, readiness and metrics.

use axum::body::Body;
use axum::http::Request;
use evenstock_app::{BreakerStore, Circuit, Clock, CounterStore, Counts, PartitionRead, PartitionStore};
use evenstock_domain::{Breaker, OrganizationId, Source, Timestamp};
use evenstock_runtime::SystemClock;
use evenstock_runtime::testing::{Reply, ask};
use prometheus_parse::{Scrape, Value as Sample};
use rstest::rstest;
use serde_json::{Value, json};

use super::Function;

async fn counted(function: &Function) {
    let counts = |counts: &[(&str, u64)]| counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Counts>();
    let inventory = [
        ("requests", 10),
        ("conflicts", 2),
        ("adjustStock", 4),
        ("inventoryUpdates", 3),
        ("latency5", 6),
        ("latency50", 3),
        ("latencyMore", 1),
        ("latencySumMs", 6200),
    ];
    let store = function.store();
    store.add_counts("inventory-api", "a", &counts(&inventory)).await.unwrap();
    store.add_counts("stock-worker", "a", &counts(&[("inventoryUpdates", 5), ("dlqEvents", 1)])).await.unwrap();
    store.add_counts("odd \"name\"\\", "a", &counts(&[("requests", 1), ("errors", 1)])).await.unwrap();
}

/// A partition that was read to its end, and one that is stuck at a record of a minute ago.
async fn followed(function: &Function) {
    let now = SystemClock.now();
    for (partition, settled) in [(0, true), (1, false)] {
        let read = PartitionRead {
            topic: "warehouse.public.stock".to_owned(),
            partition,
            offset: 40 + partition,
            settled,
            written_at: Some(now.plus_millis(-60_000)),
            seen_at: now.plus_millis(-59_000),
        };
        function.store().note_partition(&read).await.unwrap();
    }
}

#[tokio::test]
async fn position_and_lag_of_each_partition_are_shown() {
    let function = Function::new(Some("shop"));
    let reply = function.asked("GET", "/api/metrics", Some("clerk")).await;
    assert_eq!(reply.body.pointer("/data/kafka").unwrap(), &json!({}));
    followed(&function).await;
    let reply = function.asked("GET", "/api/metrics", Some("clerk")).await;
    let of = |partition: u32, field: &str| {
        let path = format!("/data/kafka/warehouse.public.stock-{partition}/{field}");
        reply.body.pointer(&path).unwrap_or_else(|| panic!("{path}: {}", reply.text)).clone()
    };
    assert_eq!((of(0, "offset"), of(0, "settled"), of(0, "lagMs")), (json!(40), json!(true), json!(1000)));
    assert_eq!((of(1, "offset"), of(1, "settled")), (json!(41), json!(false)));
    assert!(of(1, "lagMs").as_u64().unwrap() >= 60_000 && of(0, "silentMs").as_u64().unwrap() >= 59_000);
    let text = scraped(&function).await.text;
    let labels = |partition: u32| format!("{{topic=\"warehouse.public.stock\",partition=\"{partition}\"}}");
    for line in [
        format!("kafka_offset{} 40", labels(0)),
        format!("kafka_lag_ms{} 1000", labels(0)),
        format!("kafka_stuck{} 0", labels(0)),
        format!("kafka_stuck{} 1", labels(1)),
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
    }
}

async fn opened(function: &Function) {
    let source = Source::parse("marketplace-b/default").unwrap();
    let open_until = Timestamp::parse("2100-01-01T00:00:00Z").ok();
    let breaker = Breaker { failures: 3, open_until, probe: None };
    assert!(function.store().save_breaker(&Circuit::shared(source), None, &breaker).await.unwrap());
}

/// Breakers of two organizations: a store that is open, a warehouse that failed once, and one that is half-open.
async fn troubled(function: &Function) {
    let time = |text| Timestamp::parse(text).ok();
    let (past, future) = (time("2001-01-01T00:00:00Z"), time("2100-01-01T00:00:00Z"));
    for (organization, name, failures, open_until) in [
        ("shop", "etsy/mine", 3, future),
        ("shop", "warehouse/berlin", 1, None),
        ("shop", "etsy/well", 0, None),
        ("other", "warehouse/theirs", 4, past),
    ] {
        let circuit = Circuit::of(OrganizationId::parse(organization).unwrap(), Source::parse(name).unwrap());
        let breaker = Breaker { failures, open_until, probe: None };
        assert!(function.store().save_breaker(&circuit, None, &breaker).await.unwrap());
    }
}

#[tokio::test]
async fn failing_breakers_are_shown_to_whom_they_belong_and_all_to_an_operator() {
    let function = Function::new(Some("shop"));
    troubled(&function).await;
    let shown = async |key| {
        let reply = function.asked("GET", "/api/metrics", Some(key)).await;
        assert_eq!(reply.body.pointer("/data/moreCircuitBreakers").unwrap(), false);
        let breakers = reply.body.pointer("/data/circuitBreakers").unwrap().as_object().unwrap().clone();
        let row = |(name, body): (String, Value)| format!("{name} {} {}", body["state"], body["failures"]);
        breakers.into_iter().map(row).collect::<Vec<_>>()
    };
    let own = ["etsy/mine \"open\" 3", "marketplace-b/default \"closed\" 0", "warehouse/berlin \"closed\" 1"];
    assert_eq!(shown("clerk").await, own);
    assert_eq!(shown("admin").await, [&own[..], &["warehouse/theirs \"half-open\" 4"]].concat());
    let text = scraped(&function).await.text;
    for line in [
        "circuit_breaker_open{name=\"etsy/mine\"} 1",
        "circuit_breaker_open{name=\"warehouse/berlin\"} 0",
        "circuit_breaker_failures{name=\"warehouse/berlin\"} 1",
        "circuit_breakers_left_out 0",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
    }
    assert!(!text.contains("theirs"), "{text}");
}

#[tokio::test]
async fn metrics_say_when_more_breakers_fail_than_they_list() {
    let function = Function::new(None);
    let shop = OrganizationId::parse("shop").unwrap();
    for store in 0..=100 {
        let circuit = Circuit::of(shop.clone(), Source::parse(&format!("etsy/{store}")).unwrap());
        let breaker = Breaker { failures: 1, ..Breaker::default() };
        assert!(function.store().save_breaker(&circuit, None, &breaker).await.unwrap());
    }
    let reply = function.asked("GET", "/api/metrics", Some("clerk")).await;
    assert_eq!(reply.body.pointer("/data/circuitBreakers").unwrap().as_object().unwrap().len(), 100);
    assert_eq!(reply.body.pointer("/data/moreCircuitBreakers").unwrap(), true);
    assert!(scraped(&function).await.text.contains("\ncircuit_breakers_left_out 1\n"));
}

#[tokio::test]
async fn readiness_needs_no_key_and_names_no_store() {
    let function = Function::new(Some("shop"));
    troubled(&function).await;
    let reply = function.asked("GET", "/api/health/readiness", None).await;
    assert_eq!(reply.body.pointer("/breakers").unwrap(), &json!({ "marketplace-b/default": "closed" }));
}

#[rstest]
#[case("/api/health")]
#[case("/api/health/liveness")]
#[tokio::test]
async fn process_is_alive_whatever_is_down(#[case] path: &str) {
    let function = Function::new(Some("shop"));
    function.set_broken("ping", true);
    function.operations.queue.set_down(true);
    let reply = function.asked("GET", path, None).await;
    assert_eq!((reply.status, reply.body.pointer("/status").unwrap()), (200, &json!("ok")));
    assert!(reply.body.pointer("/uptime").unwrap().as_u64().unwrap() < 60);
}

#[tokio::test]
async fn open_breaker_is_shown_and_does_not_make_unready() {
    let function = Function::new(Some("shop"));
    opened(&function).await;
    let reply = function.asked("GET", "/api/health/readiness", None).await;
    assert_eq!((reply.status, reply.body.pointer("/ready").unwrap()), (200, &json!(true)));
    assert_eq!(reply.body.pointer("/breakers").unwrap(), &json!({ "marketplace-b/default": "open" }));
    assert_eq!(reply.body.pointer("/queueDepth").unwrap(), 0);
}

#[rstest]
#[case::store("ping", false)]
#[case::breakers("load_breaker", false)]
#[case::queue("", true)]
#[tokio::test]
async fn missing_part_makes_unready_without_its_cause(#[case] broken: &'static str, #[case] queue: bool) {
    let function = Function::new(Some("shop"));
    function.set_broken(broken, true);
    function.operations.queue.set_down(queue);
    let reply = function.asked("GET", "/api/health/readiness", None).await;
    assert_eq!((reply.status, reply.body.pointer("/ready").unwrap()), (503, &json!(false)));
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert!(!reply.text.contains("injected"), "{}", reply.text);
}

#[rstest]
#[case("/api/metrics")]
#[case("/api/health/metrics")]
#[tokio::test]
async fn metrics_are_sums_over_all_functions(#[case] path: &str) {
    let function = Function::new(Some("shop"));
    counted(&function).await;
    opened(&function).await;
    function.asked("POST", "/trigger-poll", Some("admin")).await;
    let reply = function.asked("GET", path, Some("clerk")).await;
    assert_eq!(reply.status, 200);
    let at = |pointer: &str| reply.body.pointer(&format!("/data/{pointer}")).unwrap().clone();
    assert_eq!(
        (at("requests"), at("errors"), at("conflicts"), at("adjustStock")),
        (json!(11), json!(1), json!(2), json!(4))
    );
    assert_eq!(at("queues/poll-jobs"), json!({ "waiting": 1, "inFlight": 0, "dead": 0 }));
    assert_eq!(at("bulkheads/stock-changes"), json!({ "limit": 50, "inUse": 0 }));
    for (queue, limit) in [("store-sync", 20), ("callbacks", 20), ("warehouse-events", 10), ("warehouse-sync", 5)] {
        assert_eq!(at(&format!("queues/{queue}")), json!({ "waiting": 0, "inFlight": 0, "dead": 0 }));
        assert_eq!(at(&format!("bulkheads/{queue}")), json!({ "limit": limit, "inUse": 0 }));
    }
    assert_eq!(at("circuitBreakers/marketplace-b~1default/state"), json!("open"));
    assert_eq!(at("polls/marketplace-b~1default/lagMs"), json!(0));
    assert_eq!(at("feed"), json!({ "head": 0, "lagMs": null }));
}

async fn scraped(function: &Function) -> Reply {
    let request = Request::builder().uri("/api/metrics").header("x-api-key", "clerk").header("accept", "text/plain");
    ask(&function.router, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn prometheus_reads_the_text_of_the_metrics() {
    let function = Function::new(Some("shop"));
    counted(&function).await;
    opened(&function).await;
    followed(&function).await;
    let reply = scraped(&function).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
    let scrape = Scrape::parse(reply.text.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let sample = |name: &str, label: &str, value: &str| {
        let found =
            scrape.samples.iter().find(|sample| sample.metric == name && sample.labels.get(label) == Some(value));
        found.unwrap_or_else(|| panic!("{name} {value}: {}", reply.text)).value.clone()
    };
    assert_eq!(sample("inventory_updates_total", "function", "stock-worker"), Sample::Counter(5.0));
    assert_eq!(sample("dlq_events_total", "function", "stock-worker"), Sample::Counter(1.0));
    assert_eq!(sample("circuit_breaker_open", "name", "marketplace-b/default"), Sample::Gauge(1.0));
    let Sample::Histogram(classes) = sample("request_latency_ms", "function", "inventory-api") else {
        panic!("no histogram: {}", reply.text)
    };
    let classes: Vec<_> = classes.iter().map(|class| (class.less_than, class.count)).collect();
    assert_eq!(classes.first(), Some(&(5.0, 6.0)));
    assert_eq!(classes.last(), Some(&(f64::INFINITY, 10.0)));
    assert!(classes.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{classes:?}");
    // What the parser passes over in silence would be lost.
    for line in reply.text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(scrape.samples.iter().any(|sample| sample.metric == name || sample.metric == family), "{line}");
    }
}

#[tokio::test]
async fn reset_is_for_admins_and_never_in_production() {
    let function = Function::new(Some("shop"));
    counted(&function).await;
    assert_eq!(function.asked("POST", "/api/metrics/reset", Some("clerk")).await.refusal(), (403, "forbidden"));
    assert_eq!(function.asked("POST", "/api/metrics/reset", Some("admin")).await.status, 200);
    assert!(function.store().all_counts().await.unwrap().is_empty());
    let production = Function::in_stage(Some("shop"), "prod");
    counted(&production).await;
    assert_eq!(production.asked("POST", "/api/metrics/reset", Some("admin")).await.refusal(), (403, "forbidden"));
    assert!(!production.store().all_counts().await.unwrap().is_empty());
}
