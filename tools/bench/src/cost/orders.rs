//! Orders: importing a receipt, and moving the stock of its lines.

use evenstock_app::QueueName;
use serde_json::{Value, json};

use super::row::floor;
use super::updates::stocked;
use super::{Row, by_http, each, invoked};
use crate::Failure;
use crate::meter::Bill;
use crate::product::Product;

const ORDERS: &str = "OrdersApiFunction";

/// Orders of each kind; each of the two lines' levels writes its history once.
const TIMES: u64 = 16;

/// Lines of an order.
const LINES: usize = 2;

async fn import(product: &Product, token: &str, receipt: &str) -> Result<(), Failure> {
    let answer = product.post(ORDERS, "/orders/import", &json!({ "syncToken": token, "receipt": receipt })).await?;
    if answer.get("success") == Some(&Value::Bool(true)) { Ok(()) } else { Err(format!("{receipt}: {answer}").into()) }
}

/// The rows of this part.
pub(super) async fn rows(product: &Product) -> Result<Vec<Row>, Failure> {
    let body = json!({
        "organizationId": "demo", "marketplace": "etsy", "externalStoreId": "store-1", "storeName": "Store",
        "accessToken": "token", "currency": "USD", "defaultLocationId": "main",
    });
    let registered = product.post(ORDERS, "/stores/register", &body).await?;
    let token = registered.get("syncToken").and_then(Value::as_str).ok_or("the store has no token")?;
    for sku in ["SKU-1", "SKU-2"] {
        stocked(product, sku).await?;
    }
    // The first import begins the watch over the store.
    import(product, token, "first-01").await?;
    product.follow(100).await?;

    let receipt = |n: u64| format!("order-{n:04}-L{LINES}-01");
    let mut imported = Bill::default();
    let mut followed = Bill::default();
    let mut applied = Bill::default();
    for n in 0..TIMES {
        imported.add(each(product, 1, async |_| import(product, token, &receipt(n)).await).await?);
        followed.add(each(product, 1, async |_| product.follow(100).await).await?);
        let lines =
            each(product, 1, async |_| product.deliver(QueueName::StockChanges, "StockWorkerFunction", LINES).await);
        applied.add(lines.await?);
        // The feed has the lines' changes, which are not the order's cost.
        product.follow(100).await?;
    }
    let again = each(product, TIMES, async |n| import(product, token, &receipt(n)).await).await?;
    let row = |name, bill, invoked, floor| Row { name, count: TIMES, bill, invoked, floor };
    Ok(vec![
        row("import an order of 2 lines", imported, by_http(TIMES), floor(300, 400)),
        row("import a known order", again, by_http(TIMES), floor(200, 0)),
        row("queue the lines of an imported order", followed, invoked(TIMES), floor(100, 0)),
        row("apply the 2 lines of an order", applied, invoked(TIMES), floor(400, 200)),
    ])
}
