//! `POST /stores/register`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use evenstock_app::{
    AdminAction, AuditLog, Clock, IdempotencyStore, MarketplaceStores, RegisterStore, Sealer, SecretText, StockSignal,
    register_store, registered_before,
};
use evenstock_domain::{LocationId, Marketplace, OrganizationId, StoreId};
use evenstock_runtime::http::{ApiError, BoundRequest, Caller, Complete, Fields, JsonBody, answered, header_key};
use evenstock_runtime::new_id;
use serde_json::{Map, Value, json};

use crate::wire::RegisteredBody;
use crate::{Orders, Shared, failure};

/// The marketplaces that a store may be of.
const MARKETPLACES: [&str; 5] = ["etsy", "shopify", "amazon", "marketplace-a", "marketplace-b"];

/// The longest access token and webhook secret, in bytes.
const TOKEN_BYTES_MAX: usize = 4096;
const SECRET_BYTES_MAX: usize = 512;

pub(crate) async fn register<S, M, K, C>(
    State(orders): Shared<S, M, K, C>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody(object): JsonBody,
) -> Result<Response, ApiError>
where
    S: MarketplaceStores + IdempotencyStore + AuditLog,
    M: Send + Sync,
    K: Sealer,
    C: Clock,
{
    let key = header_key(&headers)?;
    let asked = read(&orders, &object)?;
    if !caller.key.operator && asked.organization != caller.organization {
        return Err(ApiError::forbidden("the key belongs to another organization"));
    }
    let store = &*orders.store;
    // The hash of the body, which carries secrets, is kept; the body is not.
    let canonical = json!(["POST /stores/register", object]);
    let bound = BoundRequest::bind(store, &orders.clock, &caller.organization, key, &canonical).await?;
    // The answer itself holds a secret, so only that there was one is kept.
    let registered = if bound.answer::<bool>()?.is_some() {
        registered_before(store, &orders.sealer, &orders.clock, &asked).await.map_err(failure)?
    } else {
        let target = format!("{}/{}", asked.marketplace, asked.external_id);
        let (asks, about) = (caller.asks(&bound), asked.name.clone());
        asks.write_down(store, &asked.organization, AdminAction::StoreRegistered, &target, about).await?;
        let registered = register_store(store, &orders.sealer, &orders.clock, &asked).await.map_err(failure)?;
        bound.keep(store, &orders.clock, true).await?;
        registered
    };
    let body = RegisteredBody {
        store_id: registered.store.to_string(),
        sync_token: registered.sync_token.expose().to_owned(),
    };
    Ok(answered(StatusCode::OK, body, bound.known))
}

fn read<S, M, K, C>(orders: &Arc<Orders<S, M, K, C>>, object: &Map<String, Value>) -> Result<RegisterStore, ApiError> {
    let mut fields = Fields::of(object);
    let organization = fields.text("organizationId", OrganizationId::parse);
    let marketplace = fields.text("marketplace", marketplace);
    let external_id = fields.text("externalStoreId", StoreId::parse);
    let name = fields.text("storeName", |text| StoreId::parse(text).map(|name| name.to_string()));
    let access_token = fields.text("accessToken", |text| secret(text, TOKEN_BYTES_MAX));
    let currency = fields.text("currency", currency);
    let signal = |text: &str| StockSignal::parse(text).ok_or("must be authority, merged or orders");
    let signal = fields.optional("stockSignal", |fields, name| fields.text(name, signal));
    let location = fields.optional("defaultLocationId", |fields, name| fields.text(name, LocationId::parse));
    let webhook =
        fields.optional("webhookSecret", |fields, name| fields.text(name, |text| secret(text, SECRET_BYTES_MAX)));
    let check = |text: &str| (orders.base_urls)(text).map(|()| text.to_owned());
    let base_url = fields.optional("baseUrl", |fields, name| fields.text(name, check));
    let account = (organization, marketplace, external_id, name, access_token).complete();
    let settings = (currency, signal, location, webhook, base_url).complete();
    let (account, settings) = fields.finish((account, settings))?;
    let (organization, marketplace, external_id, name, access_token) = account;
    let (currency, stock_signal, default_location, webhook_secret, base_url) = settings;
    Ok(RegisterStore {
        organization,
        marketplace,
        external_id,
        name,
        currency,
        access_token,
        stock_signal,
        default_location,
        webhook_secret,
        base_url,
        new_id: StoreId::parse(&new_id()).map_err(ApiError::internal)?,
        new_token: SecretText::new(new_id()),
    })
}

fn marketplace(text: &str) -> Result<Marketplace, String> {
    let known = MARKETPLACES.contains(&text).then(|| Marketplace::parse(text).ok()).flatten();
    known.ok_or_else(|| format!("must be one of {}", MARKETPLACES.join(", ")))
}

fn currency(text: &str) -> Result<String, &'static str> {
    let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_code { Ok(text.to_ascii_uppercase()) } else { Err("must be three letters") }
}

fn secret(text: &str, bytes_max: usize) -> Result<SecretText, String> {
    let fits = (1..=bytes_max).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then(|| SecretText::new(text))
        .ok_or_else(|| format!("must be 1 to {bytes_max} bytes without control characters"))
}
