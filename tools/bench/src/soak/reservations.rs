//! Orders that hold units, and then release them, take them, or forget them.

use serde_json::json;

use super::clients::{Client, signed, version};
use super::world::{PLACE, RESERVED};
use crate::Failure;

/// Units of each product that there are for each client.
const UNITS: i64 = 1_000_000;

/// Reserves and settles at random until it is told to stop. A share is left alone: some run out, some are still held at
/// the end.
pub(super) async fn reserve(mut client: Client) -> Result<(), Failure> {
    for product in RESERVED {
        let key = format!("stock/{}/{product}", client.name);
        let body = json!({
            "storeId": PLACE, "productId": product, "delta": UNITS, "version": null, "idempotencyKey": key,
        });
        let answer = client.site.ask("POST", "/inventory/updates", Some(&body)).await?.expect(200)?;
        let (version, quantity) = (version(&answer, "newVersion")?, signed(&answer, "newQuantity")?);
        client.world.answered(product, version, UNITS, quantity);
    }
    for n in 0_u64.. {
        if client.world.is_stopped() {
            break;
        }
        let (first, more) = (client.random.usize(0..RESERVED.len()), client.random.usize(1..=2));
        let lines = RESERVED.into_iter().cycle().skip(first).take(more);
        let lines: Vec<_> = lines.map(|product| (product, client.random.i64(1..=3))).collect();
        let wanted = lines.iter().map(|(product, units)| json!({ "sku": product, "storeId": PLACE, "qty": units }));
        let wanted: Vec<_> = wanted.collect();
        // Most live longer than the run.
        let seconds = if client.random.u8(0..4) == 0 { client.random.u64(1..=3) } else { 1_000_000 };
        let name = format!("{}/{n}", client.name);
        let body = json!({ "orderId": name, "ttlSeconds": seconds, "lines": wanted }).to_string();
        let key = [("idempotency-key", name.as_str())];
        let held = client.site.settle("POST", "/reservations", &key, Some(body.as_bytes())).await?.expect(201)?;
        let id = held.get("reservationId").and_then(|id| id.as_str()).ok_or("a reservation has no id")?.to_owned();
        if client.world.known().reservations.insert(id.clone(), lines).is_some() {
            client.world.violated(format!("reservation {id} was given twice"));
        }
        client.world.count("reservation", "held");
        client.think().await;
        settle(&mut client, &id).await?;
    }
    Ok(())
}

async fn settle(client: &mut Client, id: &str) -> Result<(), Failure> {
    let (verb, name) = match client.random.u8(0..5) {
        0 | 1 => ("fulfil", "fulfilled"),
        2 | 3 => ("release", "released"),
        _ => {
            client.world.count("reservation", "left alone");
            return Ok(());
        }
    };
    let answer = client.site.ask("POST", &format!("/reservations/{id}/{verb}"), Some(&json!({}))).await?;
    match answer.status {
        200 => client.world.count("reservation", name),
        // It had run out before.
        409 => client.world.count("reservation", "too late"),
        _ => return Err(format!("{answer:?}").into()),
    }
    client.think().await;
    Ok(())
}
