//! Counts requests and their times, by what they are about. Costs additions to atomics, and once a minute one write.

use axum::extract::Request;
use axum::http::{HeaderName, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use evenstock_app::Clock;

use crate::SystemClock;
use crate::metrics::{Counter, InWork, count, count_latency, send_if_due};

static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

pub(super) async fn measure(request: Request, next: Next) -> Response {
    let operation = operation(request.method(), request.uri().path());
    let begun = SystemClock.now();
    let in_work = InWork::begin();
    let response = next.run(request).await;
    drop(in_work);
    count(Counter::Requests, 1);
    count_latency(SystemClock.now().millis_since(begun));
    let status = response.status();
    let seen = [
        (operation, operation.is_some()),
        (Some(Counter::Errors), status.is_server_error()),
        (Some(Counter::Conflicts), status == StatusCode::CONFLICT),
        (Some(Counter::RateLimited), status == StatusCode::TOO_MANY_REQUESTS),
        (Some(Counter::InventoryUpdates), operation == Some(Counter::AdjustStock) && status.is_success()),
        (Some(Counter::IdempotentHits), response.headers().contains_key(&REPLAYED)),
    ];
    for counter in seen.into_iter().filter(|(_, applies)| *applies).filter_map(|(counter, _)| counter) {
        count(counter, 1);
    }
    send_if_due().await;
    response
}

/// What a request is about, as far as that is counted.
fn operation(method: &Method, path: &str) -> Option<Counter> {
    let under = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let stock = under("/inventory") || under("/api/inventory");
    if under("/sync") || under("/api/sync") || under("/trigger-poll") || path == "/inventory/sync" {
        return Some(Counter::SyncOperations);
    }
    match *method {
        Method::GET if stock => Some(Counter::GetInventory),
        Method::POST if path == "/reservations" || (stock && path.ends_with("/reserve")) => Some(Counter::ReserveStock),
        Method::POST if stock => Some(Counter::AdjustStock),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::read(Method::GET, "/inventory/SKU%2F1", Some(Counter::GetInventory))]
    #[case::record(Method::GET, "/api/inventory/stores/a/inventory/b", Some(Counter::GetInventory))]
    #[case::update(Method::POST, "/inventory/updates", Some(Counter::AdjustStock))]
    #[case::adjust(Method::POST, "/api/inventory/stores/a/inventory/b/adjust", Some(Counter::AdjustStock))]
    #[case::reserve(Method::POST, "/api/inventory/stores/a/inventory/b/reserve", Some(Counter::ReserveStock))]
    #[case::reservation(Method::POST, "/reservations", Some(Counter::ReserveStock))]
    #[case::bulk(Method::POST, "/inventory/sync", Some(Counter::SyncOperations))]
    #[case::manual(Method::POST, "/api/sync", Some(Counter::SyncOperations))]
    #[case::switch(Method::POST, "/api/sync/start", Some(Counter::SyncOperations))]
    #[case::poll(Method::POST, "/trigger-poll", Some(Counter::SyncOperations))]
    #[case::health(Method::GET, "/health", None)]
    #[case::another_word(Method::GET, "/inventorying", None)]
    fn requests_are_counted_by_what_they_are_about(
        #[case] method: Method,
        #[case] path: &str,
        #[case] expected: Option<Counter>,
    ) {
        assert_eq!(operation(&method, path), expected);
    }
}
