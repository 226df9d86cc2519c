//! What a request may demand of a level's version, and what it is told when the level refuses.

use axum::http::HeaderMap;
use axum::http::header::IF_MATCH;
use evenstock_app::Answer;
use evenstock_domain::StockLevel;
use evenstock_runtime::http::{ApiError, CurrentLevel};

/// Why a level refused a request, with the level.
pub(crate) fn refusal(answer: &Answer, level: &StockLevel) -> ApiError {
    let current = Some(CurrentLevel { available: level.sellable(), version: level.version });
    match answer {
        Answer::VersionConflict => ApiError::conflict("the level has another version", current),
        Answer::Insufficient if level.policy.safety_stock.get() > 0 => {
            ApiError::unprocessable("not enough stock above the safety stock", current)
        }
        Answer::Insufficient => ApiError::unprocessable("not enough stock", current),
        Answer::Rejected(reason) => ApiError::unprocessable(format!("refused: {reason}"), current),
        // Applied answers do not come here.
        Answer::Applied(_) => ApiError::unprocessable("refused", current),
    }
}

/// The version that `If-Match` asks for: `Some(None)` for whatever it is.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<Option<u64>>, ApiError> {
    let Some(value) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(Some(None));
    }
    let number = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    match number.parse() {
        Ok(version) if digits => Ok(Some(Some(version))),
        _ => Err(ApiError::bad_field("If-Match", "must be a version such as \"3\", 3 or *")),
    }
}
