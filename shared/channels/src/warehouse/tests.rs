//! What we ask a warehouse, and what its answers come to.

use core::time::Duration;

use evenstock_app::testing::MemorySealer;
use evenstock_app::{FeedError, Sealed, Sealer, Warehouse, WarehouseFeed, WarehouseStockPage};
use evenstock_domain::{ConflictPolicy, Guard, LocationId, OrganizationId, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::HttpWarehouses;
use super::payload::page;
use crate::SystemLookup;

fn warehouse(endpoint: String, api_key: Option<Sealed>) -> Warehouse {
    Warehouse {
        id: LocationId::parse("wh-1").unwrap(),
        organization: OrganizationId::parse("demo").unwrap(),
        endpoint,
        api_key,
        policy: ConflictPolicy::Manual,
        claimed_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}

fn client(guard: Guard) -> HttpWarehouses<MemorySealer> {
    HttpWarehouses::new(guard, SystemLookup, Duration::from_secs(5), MemorySealer::default()).unwrap()
}

/// SKUs with their units, or the issue.
fn shown(page: &WarehouseStockPage) -> Vec<Result<(&str, i64), &str>> {
    let rows = page.rows.iter();
    rows.map(|row| row.as_ref().map(|row| (row.sku.as_str(), row.quantity.get())).map_err(String::as_str)).collect()
}

fn read(answer: &Value) -> WarehouseStockPage {
    page(answer.to_string().as_bytes()).unwrap()
}

#[test]
fn bad_row_is_named_and_the_others_stay() {
    let rows = json!([
        { "sku": "A/1", "quantity": 5, "version": 9, "updatedAt": "yesterday" },
        { "sku": "B", "quantity": -1 },
        { "quantity": 2 },
        7,
        { "sku": "C", "quantity": 0 },
    ]);
    let page = read(&json!({ "items": rows, "nextCursor": "p2" }));
    let expected = [
        Ok(("A/1", 5)),
        Err("B: quantity: must not be negative"),
        Err("item: sku: is required"),
        Err("item: must be a JSON object"),
        Ok(("C", 0)),
    ];
    assert_eq!((shown(&page), page.next.as_deref()), (expected.to_vec(), Some("p2")));
}

#[rstest]
#[case::missing(json!({ "items": [] }))]
#[case::null(json!({ "items": [], "nextCursor": null }))]
#[case::empty(json!({ "items": [], "nextCursor": "" }))]
fn page_without_a_cursor_is_the_last(#[case] answer: Value) {
    assert_eq!(read(&answer), WarehouseStockPage::default());
}

#[rstest]
#[case::no_items(json!({}))]
#[case::items_of_another_shape(json!({ "items": {} }))]
#[case::too_many(json!({ "items": vec![json!(0); 100_001] }))]
#[case::cursor_of_another_shape(json!({ "items": [], "nextCursor": 7 }))]
#[case::endless_cursor(json!({ "items": [], "nextCursor": "x".repeat(2049) }))]
fn answer_of_another_shape_is_refused(#[case] answer: Value) {
    assert!(matches!(page(answer.to_string().as_bytes()), Err(FeedError::Malformed { .. })));
}

#[tokio::test]
async fn asks_with_its_key_and_cursor() {
    let server = MockServer::start().await;
    let answer = json!({ "items": [{ "sku": "A", "quantity": 5 }] });
    Mock::given(method("GET"))
        .and(path("/api/inventory"))
        .and(query_param("cursor", "a b&c"))
        .and(header("authorization", "Bearer wh-key"))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .expect(1)
        .mount(&server)
        .await;
    let context = Warehouse::key_context(&OrganizationId::parse("demo").unwrap(), &LocationId::parse("wh-1").unwrap());
    let sealed = MemorySealer::default().seal(&context, "wh-key").await.unwrap();
    let warehouse = warehouse(format!("{}/api/", server.uri()), Some(sealed));
    let page = client(Guard { allow_private: true }).stock_page(&warehouse, Some("a b&c")).await.unwrap();
    assert_eq!(shown(&page), [Ok(("A", 5))]);
}

#[tokio::test]
async fn key_that_belongs_to_another_warehouse_is_not_shown() {
    let sealed = MemorySealer::default().seal("warehouse/demo/wh-2/api-key", "wh-key").await.unwrap();
    let warehouse = warehouse("http://127.0.0.1:9/".to_owned(), Some(sealed));
    let refused = client(Guard { allow_private: true }).stock_page(&warehouse, None).await;
    assert!(matches!(refused, Err(FeedError::Malformed { .. })), "{refused:?}");
}

#[tokio::test]
async fn address_of_our_own_network_is_not_called() {
    let warehouse = warehouse("http://127.0.0.1:9/".to_owned(), None);
    let refused = client(Guard { allow_private: false }).stock_page(&warehouse, None).await;
    assert!(matches!(refused, Err(FeedError::Malformed { .. })), "{refused:?}");
}

#[rstest]
#[case::down(500, "unavailable")]
#[case::redirect(302, "malformed")]
#[case::forbidden(403, "unauthorized")]
#[case::busy(429, "limited")]
#[tokio::test]
async fn other_answers_are_told_apart(#[case] status: u16, #[case] expected: &str) {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(status).insert_header("location", "http://127.0.0.1:9/");
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    let failed = client(Guard { allow_private: true }).stock_page(&warehouse(server.uri(), None), None).await;
    let kind = match failed.unwrap_err() {
        FeedError::Unavailable { .. } => "unavailable",
        FeedError::Malformed { .. } => "malformed",
        FeedError::Unauthorized => "unauthorized",
        FeedError::RateLimited { .. } => "limited",
    };
    assert_eq!(kind, expected);
}
