//! What those whom we ask may answer: marketplaces, warehouses, a central system. Through the real clients.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use evenstock_app::testing::MemorySealer;
use evenstock_app::{
    CentralStock, CentralUpdate, MarketplaceAccount, OrderMarketplace, SecretText, StockFeed, Validation, Warehouse,
    WarehouseFeed,
};
use evenstock_channels::{ApiSecret, HttpCentral, HttpWarehouses, MarketplaceB, OrderClient, SystemLookup};
use evenstock_domain::{ConflictPolicy, Guard, LocationId, OrganizationId, Sku, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use tokio::runtime::Runtime;
use wiremock::matchers::any as any_request;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::hold;
use crate::hostile::worse;

const NEAR: Guard = Guard { allow_private: true };
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers everything with what was last put here.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Respond for Said {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_raw(self.0.lock().unwrap().clone(), "application/json")
    }
}

fn served() -> (Runtime, MockServer, Said) {
    let (runtime, said) = (Runtime::new().unwrap(), Said::default());
    let server = runtime.block_on(async {
        let server = MockServer::builder().disable_request_recording().start().await;
        Mock::given(any_request()).respond_with(said.clone()).mount(&server).await;
        server
    });
    (runtime, server, said)
}

#[test]
fn answer_of_marketplace_b_is_a_page_or_malformed() {
    let (runtime, server, said) = served();
    let client = MarketplaceB::new(&server.uri(), ApiSecret::new("k").unwrap(), PATIENCE).unwrap();
    let row =
        json!({ "sku": "A", "qty": 5, "location_id": "shop", "last_modified": 1_795_161_600, "additional_info": {} });
    hold(256, &worse(vec![json!({ "items": [row, row, row] })]), |body| {
        *said.0.lock().unwrap() = body.0;
        if let Ok(page) = runtime.block_on(client.changed_since(Timestamp::EPOCH, 10)) {
            prop_assert!(page.rows.len() <= 100_000);
        }
        Ok(())
    });
}

#[test]
fn answer_of_a_warehouse_is_a_page_or_malformed() {
    let (runtime, server, said) = served();
    let client = HttpWarehouses::new(NEAR, SystemLookup, PATIENCE, MemorySealer::default()).unwrap();
    let warehouse = Warehouse {
        id: LocationId::parse("wh-1").unwrap(),
        organization: OrganizationId::parse("demo").unwrap(),
        endpoint: server.uri(),
        api_key: None,
        policy: ConflictPolicy::Manual,
        claimed_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    };
    let row = json!({ "sku": "A", "quantity": 5, "version": 9, "updatedAt": "2026-11-20T08:00:00Z" });
    hold(256, &worse(vec![json!({ "items": [row, row], "nextCursor": "n" })]), |body| {
        *said.0.lock().unwrap() = body.0;
        if let Ok(page) = runtime.block_on(client.stock_page(&warehouse, None)) {
            prop_assert!(page.next.is_none_or(|cursor| (1..=2048).contains(&cursor.len())));
        }
        Ok(())
    });
}

#[test]
fn answer_about_a_receipt_is_an_order_or_says_what_is_wrong() {
    let (runtime, server, said) = served();
    let client = OrderClient::new(Some(&server.uri()), [], NEAR, PATIENCE).unwrap();
    let account = MarketplaceAccount {
        marketplace: "etsy".to_owned(),
        base_url: None,
        access_token: SecretText::new("token"),
        currency: "EUR".to_owned(),
    };
    let order = json!({
        "status": true, "orderId": "o-1", "amount": 123.45, "currency": "EUR", "cancelled": false,
        "importedAtUTC": "2026-11-20T08:00:00.000Z",
        "lines": [{ "sku": "A", "quantity": 2, "locationId": "main" }, { "sku": "B", "quantity": 1 }],
    });
    hold(256, &worse(vec![order]), |body| {
        *said.0.lock().unwrap() = body.0;
        match runtime.block_on(client.validate(&account, "r-1")) {
            Ok(Validation::Accepted(order)) => {
                prop_assert!(order.lines.len() <= 500 && order.currency.len() == 3);
                prop_assert!(order.lines.iter().all(|line| line.quantity.get() > 0));
            }
            Ok(Validation::Refused) => {}
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
        Ok(())
    });
}

#[test]
fn answer_of_a_central_system_is_one_answer_an_update_or_an_error() {
    let (runtime, server, said) = served();
    let client = HttpCentral::new(&server.uri(), "key", NEAR, SystemLookup, PATIENCE).unwrap();
    let place = LocationId::parse("shop 1").unwrap();
    let update = |sku: &str| CentralUpdate {
        sku: Sku::parse(sku).unwrap(),
        delta: 1,
        expected_version: 7,
        idempotency_key: format!("push-{sku}"),
    };
    let result =
        |sku| json!({ "productId": sku, "applied": true, "newVersion": 8, "errorType": null, "errorMessage": null });
    let refused = json!({ "productId": "B", "applied": false, "errorType": "conflict", "errorMessage": "m" });
    let samples = vec![
        json!({ "results": [result("A"), result("B")] }),
        json!({ "results": [result("A"), refused] }),
        json!({ "available": 5, "oversold": 0, "version": 3 }),
    ];
    hold(256, &worse(samples), |body| {
        *said.0.lock().unwrap() = body.0;
        if let Ok(answers) = runtime.block_on(client.push(&place, &[update("A"), update("B")])) {
            prop_assert_eq!(answers.len(), 2);
        }
        if let Err(error) = runtime.block_on(client.holding(&place, &Sku::parse("A").unwrap())) {
            prop_assert!(!error.to_string().is_empty());
        }
        Ok(())
    });
}
