//! Stands in for the marketplaces that say whether a receipt is an order. In development only: a production stage does
//! not have it.
//!
//! Keeps nothing, and must not know who asks it.

mod accounts;
mod openapi;
mod rules;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use evenstock_app::Clock;
use evenstock_domain::OrderId;
use evenstock_runtime::http::{ApiError, Fields, JsonBody, shell};

pub use accounts::Accounts;
pub use openapi::openapi;
use rules::Verdict;
use wire::{PutOffBody, ValidationBody};

/// The largest question that is read, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// The currency of whoever names none.
const CURRENCY_DEFAULT: &str = "USD";

/// What the handler needs.
#[derive(Debug)]
pub struct Mock<C> {
    /// The marketplaces and who may ask them.
    pub accounts: Accounts,
    /// Says when an order was imported.
    pub clock: C,
}

/// The function as an HTTP service.
pub fn router<C: Clock + 'static>(mock: Arc<Mock<C>>) -> Router {
    shell(routes(mock))
}

/// The function's routes, without the shell around them.
pub fn routes<C: Clock + 'static>(mock: Arc<Mock<C>>) -> Router {
    Router::new()
        .route("/mock/{marketplace}/validate", post(validate::<C>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(mock)
}

async fn validate<C: Clock>(
    State(mock): State<Arc<Mock<C>>>,
    Path(marketplace): Path<String>,
    headers: HeaderMap,
    body: Result<JsonBody, ApiError>,
) -> Result<Response, ApiError> {
    let account = mock.accounts.of(&marketplace).ok_or_else(|| ApiError::not_found("there is no such marketplace"))?;
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !account.admits(authorization) {
        let mut refusal = ApiError::unauthorized("missing or wrong credentials").into_response();
        refusal.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"mock\""));
        return Ok(refusal);
    }
    let JsonBody(object) = body?;
    let mut fields = Fields::of(&object);
    let receipt = fields.text("receipt", OrderId::parse);
    let currency = fields.optional("currency", |fields, name| fields.text(name, currency));
    let (receipt, currency) = fields.finish((receipt, currency))?;
    let currency = currency.unwrap_or_else(|| CURRENCY_DEFAULT.to_owned());
    Ok(match rules::verdict(receipt.as_str()) {
        Verdict::RateLimited => {
            (StatusCode::TOO_MANY_REQUESTS, Json(PutOffBody { error: "rate_limited" })).into_response()
        }
        Verdict::Refused => Json(ValidationBody::default()).into_response(),
        Verdict::Accepted => Json(order(account.marketplace, receipt.as_str(), currency, &mock.clock)).into_response(),
    })
}

fn currency(text: &str) -> Result<String, &'static str> {
    let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_code { Ok(text.to_ascii_uppercase()) } else { Err("must be three letters") }
}

fn order(marketplace: &str, receipt: &str, currency: String, clock: &impl Clock) -> ValidationBody {
    ValidationBody {
        status: true,
        order_id: Some(rules::order_id(marketplace, receipt)),
        amount: rules::amount(marketplace, receipt),
        currency: Some(currency),
        imported_at: Some(clock.now().to_string()),
        lines: rules::lines(receipt),
        cancelled: rules::is_cancelled(receipt).then_some(true),
    }
}
