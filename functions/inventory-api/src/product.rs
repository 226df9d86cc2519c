//! What stands under a product's path: the product itself, its policy and its history.
//!
//! A SKU may hold a slash, and some gateways hand it over decoded. So the path's whole rest comes here, and its last
//! part, as it was sent, tells what is meant. (Behind such a gateway a SKU that ends in `/policy` cannot be named.)

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use evenstock_app::{Clock, StockStore};
use evenstock_runtime::http::{ApiError, Caller, JsonBody};

use crate::read::{self, Shared};
use crate::{history, policy};

/// What of a product is meant.
enum Part<'a> {
    Itself(&'a str),
    Policy(&'a str),
    History(&'a str),
}

impl<'a> Part<'a> {
    /// `sent` is the path as it was sent, `product` its decoded rest.
    fn of(sent: &str, product: &'a str) -> Self {
        let below = |name| if sent.ends_with(name) { product.strip_suffix(name) } else { None };
        match (below("/policy"), below("/history")) {
            (Some(product), _) => Self::Policy(product),
            (_, Some(product)) => Self::History(product),
            _ => Self::Itself(product),
        }
    }
}

/// `GET /inventory/updates`: the product of that name, for a path of its own takes it from the others.
pub(crate) async fn named_updates<S: StockStore, C>(
    state: Shared<S, C>,
    caller: Extension<Caller>,
    uri: Uri,
) -> Result<Response, ApiError> {
    get(state, caller, uri, Path("updates".to_owned())).await
}

/// `GET /inventory/sync`: likewise.
pub(crate) async fn named_sync<S: StockStore, C>(
    state: Shared<S, C>,
    caller: Extension<Caller>,
    uri: Uri,
) -> Result<Response, ApiError> {
    get(state, caller, uri, Path("sync".to_owned())).await
}

/// `GET /inventory/{productId}`, `…/policy` and `…/history`.
pub(crate) async fn get<S: StockStore, C>(
    State(inventory): Shared<S, C>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    Path(product): Path<String>,
) -> Result<Response, ApiError> {
    match Part::of(uri.path(), &product) {
        Part::Itself(product) => {
            let query = Query::try_from_uri(&uri);
            Ok(read::one(&inventory, &caller, product, query).await?.into_response())
        }
        Part::Policy(product) => {
            let query = Query::try_from_uri(&uri);
            Ok(policy::show(&inventory, &caller, product, query).await?.into_response())
        }
        Part::History(product) => {
            let query = Query::try_from_uri(&uri);
            Ok(history::show(&inventory, &caller, product, query).await?.into_response())
        }
    }
}

/// `PUT /inventory/{productId}/policy`.
pub(crate) async fn put<S: StockStore, C: Clock>(
    State(inventory): Shared<S, C>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    Path(product): Path<String>,
    body: JsonBody,
) -> Result<Response, ApiError> {
    match Part::of(uri.path(), &product) {
        Part::Policy(product) => Ok(policy::change(&inventory, &caller, product, &body).await?.into_response()),
        Part::Itself(_) | Part::History(_) => Err(ApiError::method_not_allowed()),
    }
}
