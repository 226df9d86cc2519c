//! The bodies: `{storeId, updates: [{productId, delta, version, idempotencyKey}]}`, its answer `{results: [{productId,
//! applied, newVersion, errorType, errorMessage}]}`, and a level `{available, oversold, version}`.

use evenstock_app::{CentralAnswer, CentralUpdate};
use evenstock_domain::{Holding, LocationId};
use serde::Deserialize;
use serde_json::{Value, json};

/// Characters of another system's message that are kept.
const MESSAGE_CHARACTERS_MAX: usize = 200;

pub(super) fn question(location: &LocationId, updates: &[CentralUpdate]) -> Value {
    let update = |update: &CentralUpdate| {
        json!({
            "productId": update.sku.as_str(),
            "delta": update.delta,
            "version": update.expected_version,
            "idempotencyKey": update.idempotency_key,
        })
    };
    json!({ "storeId": location.as_str(), "updates": updates.iter().map(update).collect::<Vec<_>>() })
}

#[derive(Debug, Deserialize)]
struct AnswerBody {
    results: Vec<ResultBody>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResultBody {
    product_id: String,
    applied: bool,
    new_version: Option<u64>,
    error_type: Option<String>,
    error_message: Option<String>,
}

/// The answers to these updates.
///
/// # Errors
/// What is wrong with the body. It says nothing then of any update, because none can be told for sure.
pub(super) fn answers(body: &[u8], updates: &[CentralUpdate]) -> Result<Vec<CentralAnswer>, String> {
    let AnswerBody { results } =
        serde_json::from_slice(body).map_err(|_| "its answer is not JSON of the right shape".to_owned())?;
    if results.len() != updates.len() {
        return Err(format!("it gave {} results for {} updates", results.len(), updates.len()));
    }
    results.into_iter().zip(updates).map(|(result, update)| answer(result, update)).collect()
}

fn answer(result: ResultBody, update: &CentralUpdate) -> Result<CentralAnswer, String> {
    if result.product_id != update.sku.as_str() {
        return Err("its results are for other products".to_owned());
    }
    if result.applied {
        let version = result.new_version.ok_or("it applied an update and does not say as which version")?;
        return Ok(CentralAnswer::Applied { version });
    }
    let kind = result.error_type.unwrap_or_default();
    let message: String = result.error_message.unwrap_or_default().chars().take(MESSAGE_CHARACTERS_MAX).collect();
    let said = format!("it answered {kind}: {message}");
    Ok(match kind.as_str() {
        "conflict" => CentralAnswer::Stale,
        "unprocessable" => CentralAnswer::Unprocessable(said),
        "rate_limited" | "internal" | "unavailable" | "" => CentralAnswer::Later(said),
        _ => CentralAnswer::Rejected(said),
    })
}

#[derive(Debug, Deserialize)]
struct HoldingBody {
    available: i64,
    #[serde(default)]
    oversold: i64,
    version: u64,
}

/// What a level's body says.
///
/// # Errors
/// What is wrong with it.
pub(super) fn holding(body: &[u8]) -> Result<Holding, String> {
    let HoldingBody { available, oversold, version } =
        serde_json::from_slice(body).map_err(|_| "its level is not JSON of the right shape".to_owned())?;
    Ok(Holding { quantity: available.saturating_sub(oversold), version })
}
