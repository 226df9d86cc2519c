use super::*;

fn of(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().copied().collect()
}

#[test]
fn nothing_but_the_log_listens_when_telemetry_is_not_sent() {
    for format in [LogFormat::Json, LogFormat::Text] {
        let dispatch = dispatch("info", format, format.writer(), None);
        assert!(dispatch.downcast_ref::<SpanLayer>().is_none());
    }
    assert_eq!(OtlpSettings::read(|_| None, "webhook"), Ok(None));
    assert!(!is_exporting());
}

#[test]
fn exporter_listens_at_every_level_of_the_log() {
    let variable = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then_some("http://127.0.0.1:9");
    let settings = OtlpSettings::read(variable, "webhook").unwrap().unwrap();
    let transport = collector::transport(&settings.endpoint);
    let exporter = Arc::new(Exporter::new(settings, &[], transport, now_ns));
    let dispatch = dispatch("error", LogFormat::Text, LogFormat::Text.writer(), Some(&exporter));
    assert!(dispatch.downcast_ref::<SpanLayer>().is_some());
    tracing::dispatcher::with_default(&dispatch, || {
        let place = tracing::info_span!("work").in_scope(evenstock_telemetry::current);
        assert!(place.is_some(), "spans are recorded that the log leaves out");
    });
}

#[test]
fn wrong_setting_stops_the_start_and_is_not_quoted() {
    let environment = of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "gopher://hunter2")]);
    let error = start_telemetry(&environment, "webhook", "info", LogFormat::Text).unwrap_err().to_string();
    assert!(error.starts_with("environment variable OTEL_EXPORTER_OTLP_ENDPOINT must be the URL"), "{error}");
    assert!(!error.contains("hunter2"));
}

#[tokio::test]
async fn collector_that_is_not_there_is_told_as_the_reason() {
    let transport = collector::transport("http://127.0.0.1:9");
    let post = evenstock_telemetry::Post {
        url: "http://127.0.0.1:9/v1/traces".to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: b"{}".to_vec(),
    };
    assert!(transport(post, Duration::from_secs(5)).await.is_err());
}
