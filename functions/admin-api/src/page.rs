//! Which page of a listing a caller asks for.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use evenstock_domain::OrganizationId;
use evenstock_runtime::http::{ApiError, CursorKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Rows of a page unless the caller asks for another number.
const LIMIT_DEFAULT: u32 = 50;

/// Rows of a page at most.
pub(crate) const LIMIT_MAX: u32 = 500;

#[derive(Debug, Deserialize)]
pub(crate) struct PageQuery {
    cursor: Option<String>,
    limit: Option<String>,
}

/// Where the page begins, and how many rows it may have.
pub(crate) fn asked<T: DeserializeOwned>(
    query: Result<Query<PageQuery>, QueryRejection>,
    cursors: &CursorKey,
    organization: &OrganizationId,
    listing: &str,
) -> Result<(Option<T>, u32), ApiError> {
    let Query(query) = query.map_err(|rejection| ApiError::bad_field("query", rejection.body_text()))?;
    let limit = match query.limit.as_deref() {
        None => LIMIT_DEFAULT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| ApiError::bad_field("limit", format!("must be a whole number from 1 to {LIMIT_MAX}")))?,
    };
    let cursor = query.cursor.filter(|cursor| !cursor.is_empty());
    let after = cursor.map(|cursor| cursors.open_position(organization, listing, &cursor)).transpose();
    Ok((after.map_err(|error| ApiError::bad_field("cursor", error.to_string()))?, limit))
}
