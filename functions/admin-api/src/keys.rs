//! `/admin/keys`: making, listing and withdrawing API keys.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Json, Response};
use evenstock_app::{
    AdminRequest, AuditLog, Clock, IdempotencyStore, KEY_RANDOM_BYTES, KeyAdminStore, KeyRecord, NewKey, Revocation,
    Scope, Sealed, Sealer, create_key, key_text, revoke_key,
};
use evenstock_domain::{OrganizationId, Timestamp};
use evenstock_runtime::http::{ApiError, BoundRequest, Caller, Fields, JsonBody, answered, header_key};
use evenstock_runtime::random_bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::Administration;
use crate::page::{PageQuery, asked};

/// Keeps these cursors apart from those of other listings.
const LISTING: &str = "keys";

/// The longest name of a key, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// A key to be made.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "this type describes; the fields are read one by one")]
pub(crate) struct NewKeyBody {
    /// The caller's own, unless its key is an operator's.
    organization_id: String,
    /// For people.
    name: String,
    /// Any of `read`, `write` and `admin`; none includes another.
    scopes: Vec<String>,
    /// From when on it is refused.
    expires_at: Option<String>,
    /// Whether it may act for any organization. Only an operator may say so.
    operator: Option<bool>,
}

/// A key as its administrators see it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyBody {
    id: String,
    /// How the key begins.
    prefix: String,
    organization_id: String,
    name: String,
    scopes: Vec<&'static str>,
    operator: bool,
    created_at: String,
    expires_at: Option<String>,
    /// To the hour; `null` when it never was.
    last_used_at: Option<String>,
}

/// A new key. Its text is shown here and nowhere else.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatedKeyBody {
    /// The key itself. Keep it; nobody can read it back.
    key: String,
    #[serde(flatten)]
    about: KeyBody,
}

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeysBody {
    items: Vec<KeyBody>,
    /// Empty at the end.
    next_cursor: String,
}

impl From<&KeyRecord> for KeyBody {
    fn from(record: &KeyRecord) -> Self {
        let key = &record.key;
        Self {
            id: key.id.clone(),
            prefix: record.prefix.clone(),
            organization_id: key.organization.to_string(),
            name: record.name.clone(),
            scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
            operator: key.operator,
            created_at: record.created_at.to_string(),
            expires_at: key.expires_at.map(|at| at.to_string()),
            last_used_at: record.last_used_at.map(|at| at.to_string()),
        }
    }
}

/// What an idempotency record keeps of the answer: all the rest follows from the request.
#[derive(Debug, Serialize, Deserialize)]
struct KeptKey {
    sealed: String,
}

pub(crate) async fn create<S, C, E>(
    State(administration): State<Arc<Administration<S, C, E>>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody(object): JsonBody,
) -> Result<Response, ApiError>
where
    S: KeyAdminStore + AuditLog + IdempotencyStore,
    C: Clock,
    E: Sealer,
{
    let Administration { store, clock, sealer, .. } = &*administration;
    let key = header_key(&headers)?;
    let new = read_new(&object)?;
    if new.organization != caller.key.organization && !caller.key.operator {
        return Err(ApiError::forbidden("the key belongs to another organization"));
    }
    if new.operator && !caller.key.operator {
        return Err(ApiError::forbidden("only an operator makes operator keys"));
    }
    let keyed = key.is_some();
    let canonical = json!(["POST /admin/keys", Value::Object(object)]);
    let operation = BoundRequest::bind(&**store, clock, &caller.organization, key, &canonical).await?;
    if new.expires_at.is_some_and(|expires_at| expires_at <= operation.time) {
        return Err(ApiError::bad_field("expiresAt", "must be in the future"));
    }
    let kept = operation.answer::<KeptKey>()?;
    let replayed = kept.is_some();
    let text = if keyed {
        // The text is kept before the key is made, so that whatever dies in between, the key that is shown exists.
        let context = format!("admin-key/{}/{}", caller.organization, operation.name);
        let kept = match kept {
            Some(kept) => kept,
            None => {
                let sealed = sealer.seal(&context, &fresh_text()?).await?.as_str().to_owned();
                operation.keep(&**store, clock, KeptKey { sealed }).await?
            }
        };
        sealer.open(&context, &Sealed::from_stored(kept.sealed)).await?.expose().to_owned()
    } else {
        fresh_text()?
    };
    let record = new.into_record(&text, operation.time);
    let request = AdminRequest { by: &caller.key, id: operation.id(), at: operation.time };
    create_key(&**store, &request, &record).await?;
    let body = CreatedKeyBody { key: text, about: KeyBody::from(&record) };
    Ok(answered(StatusCode::CREATED, body, replayed))
}

fn fresh_text() -> Result<String, ApiError> {
    let random = random_bytes::<KEY_RANDOM_BYTES>();
    random
        .map(|random| key_text(&random))
        .ok_or_else(|| ApiError::unavailable(std::io::Error::other("the system has no randomness to give")))
}

fn read_new(object: &serde_json::Map<String, Value>) -> Result<NewKey, ApiError> {
    let mut fields = Fields::of(object);
    let organization = fields.text("organizationId", OrganizationId::parse);
    let name = fields.text("name", read_name);
    let scopes = read_scopes(&mut fields);
    let operator = fields.optional("operator", Fields::flag);
    let expires_at = fields.optional("expiresAt", |fields, name| fields.text(name, Timestamp::parse));
    let (organization, name, scopes, operator, expires_at) =
        fields.finish((organization, name, scopes, operator, expires_at))?;
    Ok(NewKey { organization, name, scopes, operator: operator.unwrap_or_default(), expires_at })
}

fn read_name(text: &str) -> Result<String, String> {
    let fits = (1..=NAME_BYTES_MAX).contains(&text.len()) && text.trim() == text && !text.chars().any(char::is_control);
    let issue = || format!("must be 1 to {NAME_BYTES_MAX} bytes without control characters and outer spaces");
    fits.then(|| text.to_owned()).ok_or_else(issue)
}

fn read_scopes(fields: &mut Fields<'_>) -> Option<Vec<Scope>> {
    const NAME: &str = "scopes";
    let list = fields.list(NAME)?;
    let mut scopes: Vec<_> = list.iter().filter_map(|scope| Scope::parse(scope.as_str()?)).collect();
    if list.is_empty() || scopes.len() != list.len() {
        return fields.refuse(NAME, "must hold one or more of read, write and admin");
    }
    scopes.sort();
    scopes.dedup();
    Some(scopes)
}

pub(crate) async fn list<S: KeyAdminStore, C, E>(
    State(administration): State<Arc<Administration<S, C, E>>>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<KeysBody>, ApiError> {
    let Administration { store, cursors, .. } = &*administration;
    let organization = &caller.organization;
    let (after, limit) = asked::<String>(query, cursors, organization, LISTING)?;
    let page = store.keys_of(organization, after.as_deref(), limit).await?;
    let next = page.next.map(|id| cursors.seal_position(organization, LISTING, &id));
    let items = page.keys.iter().map(KeyBody::from).collect();
    Ok(Json(KeysBody { items, next_cursor: next.unwrap_or_default() }))
}

pub(crate) async fn revoke<S: KeyAdminStore + AuditLog + IdempotencyStore, C: Clock, E>(
    State(administration): State<Arc<Administration<S, C, E>>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let Administration { store, clock, .. } = &*administration;
    let operation =
        BoundRequest::bind(&**store, clock, &caller.organization, None, &json!(["DELETE /admin/keys", id])).await?;
    let request = AdminRequest { by: &caller.key, id: operation.id(), at: operation.time };
    match revoke_key(&**store, &request, &caller.organization, &id).await? {
        Revocation::Revoked => Ok(StatusCode::NO_CONTENT),
        Revocation::Unknown => Err(ApiError::not_found("there is no such key")),
        Revocation::OperatorsOnly => Err(ApiError::forbidden("only an operator withdraws operator keys")),
    }
}
