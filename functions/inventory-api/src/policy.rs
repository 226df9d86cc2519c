//! `PUT` and `GET /inventory/{productId}/policy`: what the seller wants at one location of a product, or at each.

use axum::response::Json;
use evenstock_app::{Clock, PolicyChange, StockStore, set_policy};
use evenstock_domain::{LevelKey, LocationId, Policy, Quantity, Sku};
use evenstock_runtime::http::{ApiError, Caller, Fields, JsonBody, read_path};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Inventory;
use crate::read::{Asked, OneQuery, asked, levels, unknown};

/// The fields of which one must be there.
const WISHES: [&str; 3] = ["lowStock", "allowBackorder", "safetyStock"];

/// The policy of a product at one location, or at each.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum PolicyBody {
    One(OnePolicy),
    Each(EachPolicy),
}

/// A product's policy at the location that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OnePolicy {
    product_id: String,
    #[serde(flatten)]
    policy: PlaceBody,
}

/// A product's policies, location by location.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EachPolicy {
    product_id: String,
    policies: Vec<PlaceBody>,
}

/// A location's policy.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlaceBody {
    store_id: String,
    low_stock: Option<i64>,
    allow_backorder: bool,
    safety_stock: i64,
}

impl PlaceBody {
    fn new(location: &LocationId, policy: Policy) -> Self {
        Self {
            store_id: location.to_string(),
            low_stock: policy.low_stock.map(Quantity::get),
            allow_backorder: policy.allow_backorder,
            safety_stock: policy.safety_stock.get(),
        }
    }
}

/// One location's policy stands for itself when it was asked for.
fn body(sku: &Sku, one: bool, mut policies: Vec<PlaceBody>) -> Result<Json<PolicyBody>, ApiError> {
    let product_id = sku.to_string();
    match policies.pop() {
        None => Err(unknown()),
        Some(policy) if one => Ok(Json(PolicyBody::One(OnePolicy { product_id, policy }))),
        Some(policy) => {
            policies.push(policy);
            Ok(Json(PolicyBody::Each(EachPolicy { product_id, policies })))
        }
    }
}

pub(crate) async fn show<S: StockStore, C>(
    inventory: &Inventory<S, C>,
    caller: &Caller,
    product: &str,
    query: Asked<OneQuery>,
) -> Result<Json<PolicyBody>, ApiError> {
    let sku = read_path("productId", product, Sku::parse)?;
    let store_id = asked(query)?.store_id;
    let levels = levels(inventory, caller, &sku, store_id.as_deref()).await?;
    let policies = levels.iter().map(|(location, level)| PlaceBody::new(location, level.policy)).collect();
    body(&sku, store_id.is_some(), policies)
}

pub(crate) async fn change<S: StockStore, C: Clock>(
    inventory: &Inventory<S, C>,
    caller: &Caller,
    product: &str,
    JsonBody(object): &JsonBody,
) -> Result<Json<PolicyBody>, ApiError> {
    let sku = read_path("productId", product, Sku::parse)?;
    let mut fields = Fields::of(object);
    let location = fields.optional("storeId", |fields, name| fields.text(name, LocationId::parse));
    let low_stock =
        if fields.names("lowStock") { fields.integer_or_null("lowStock", Quantity::new).map(Some) } else { Some(None) };
    let allow_backorder = fields.optional("allowBackorder", Fields::flag);
    let safety_stock = fields.optional("safetyStock", |fields, name| fields.integer(name, Quantity::new));
    if !WISHES.iter().any(|name| fields.names(name)) {
        fields.refuse::<()>("body", format_args!("must hold one of {}", WISHES.join(", ")));
    }
    let (location, low_stock, allow_backorder, safety_stock) =
        fields.finish((location, low_stock, allow_backorder, safety_stock))?;
    let change = PolicyChange { allow_backorder, low_stock, safety_stock };

    let one = location.is_some();
    let locations = match location {
        Some(location) => vec![location],
        None => {
            let levels = inventory.store.levels_of(&caller.organization, &sku).await?;
            levels.into_iter().map(|(location, _)| location).collect()
        }
    };
    let mut policies = Vec::with_capacity(locations.len());
    for location in locations {
        let key = LevelKey { organization: caller.organization.clone(), sku: sku.clone(), location };
        let policy = set_policy(&*inventory.store, &inventory.clock, &key, change).await?;
        policies.extend(policy.map(|policy| PlaceBody::new(&key.location, policy)));
    }
    body(&sku, one, policies)
}
