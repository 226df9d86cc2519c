//! Who is calling: API keys, their scopes, their organization.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use evenstock_app::{ApiKey, Clock, KeyStore, Scope, StoreError, with_causes};
use evenstock_domain::{OrganizationId, Timestamp};
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};

use super::{ApiError, RateLimits};
use crate::SystemClock;

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
static X_ORGANIZATION_ID: HeaderName = HeaderName::from_static("x-organization-id");

/// How long a key is believed without asking again, in milliseconds: a deleted key works no longer than this.
const CACHE_MS: i64 = 60_000;

/// How often an instance notes that a key is used, in milliseconds. The store keeps one note an hour of all instances.
const NOTE_MS: i64 = 60 * 60 * 1000;

/// Characters of a text that may be a key, at most. A longer one is refused unread.
const KEY_CHARACTERS_MAX: usize = 128;

/// Keys that an instance remembers. Wrong keys are remembered too, so that guessing costs no reads.
const CACHE_KEYS_MAX: usize = 10_000;

type KeyHash = [u8; 32];
type Lookup = dyn Fn(KeyHash) -> BoxFuture<'static, Result<Option<ApiKey>, StoreError>> + Send + Sync;
type NoteUse = dyn Fn(KeyHash, Timestamp) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync;

/// Finds out who is calling and how often. One an instance.
#[derive(Clone)]
pub struct AccessControl(Arc<Inner>);

struct Inner {
    find: Box<Lookup>,
    note_use: Box<NoteUse>,
    seen: Mutex<HashMap<KeyHash, Seen>>,
    rates: RateLimits,
}

/// What is known of a text that was shown as a key.
#[derive(Clone)]
struct Seen {
    /// The key; `None` when it is none.
    key: Option<ApiKey>,
    /// When the store was asked.
    at: Timestamp,
    /// When its use was last noted.
    noted_at: Option<Timestamp>,
}

impl core::fmt::Debug for AccessControl {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AccessControl").finish_non_exhaustive()
    }
}

/// The caller of a request, proven by a key.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The key.
    pub key: ApiKey,
    /// The organization that the request is about.
    pub organization: OrganizationId,
}

impl AccessControl {
    /// Access by the keys of `store`, with these rates for each key.
    pub fn new<K: KeyStore + 'static>(store: Arc<K>, rates: RateLimits) -> Self {
        let (finder, noter) = (Arc::clone(&store), store);
        let find: Box<Lookup> = Box::new(move |hash| {
            let store = Arc::clone(&finder);
            Box::pin(async move { store.find_key(&hash).await })
        });
        let note_use: Box<NoteUse> = Box::new(move |hash, now| {
            let store = Arc::clone(&noter);
            Box::pin(async move { store.note_use(&hash, now).await })
        });
        Self(Arc::new(Inner { find, note_use, seen: Mutex::default(), rates }))
    }

    /// The same work for every wrong text, known or not: a digest and a look at what is remembered.
    async fn key(&self, text: &str, now: Timestamp) -> Result<ApiKey, ApiError> {
        if text.len() > KEY_CHARACTERS_MAX {
            return Err(ApiError::unauthorized("missing or wrong API key"));
        }
        let hash: KeyHash = Sha256::digest(text.as_bytes()).into();
        let known = self.remembered(&hash);
        let seen = match known {
            Some(seen) if now.millis_since(seen.at) < CACHE_MS => seen,
            known => {
                let key = (self.0.find)(hash).await?;
                let noted_at = known.and_then(|seen| seen.noted_at);
                self.remember(hash, Seen { key, at: now, noted_at })
            }
        };
        let valid = seen.key.as_ref().filter(|key| key.expires_at.is_none_or(|expires_at| now < expires_at)).cloned();
        let key = valid.ok_or_else(|| ApiError::unauthorized("missing or wrong API key"))?;
        if seen.noted_at.is_none_or(|noted_at| now.millis_since(noted_at) >= NOTE_MS) {
            self.remember(hash, Seen { noted_at: Some(now), ..seen });
            // Nobody is refused because a note could not be made.
            if let Err(error) = (self.0.note_use)(hash, now).await {
                tracing::warn!(key = key.id, cause = with_causes(&error), "the use of a key was not noted");
            }
        }
        Ok(key)
    }

    fn remembered(&self, hash: &KeyHash) -> Option<Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
    }

    fn remember(&self, hash: KeyHash, known: Seen) -> Seen {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= CACHE_KEYS_MAX && !seen.contains_key(&hash) {
            seen.clear();
        }
        seen.insert(hash, known.clone());
        known
    }
}

/// Lets only callers with a key of this scope reach these routes, and tells them their rates.
pub fn require(routes: Router, access: &AccessControl, scope: Scope) -> Router {
    routes.route_layer(from_fn_with_state((access.clone(), scope), check))
}

async fn check(State((access, scope)): State<(AccessControl, Scope)>, mut request: Request, next: Next) -> Response {
    let caller = match identify(&access, request.headers(), scope).await {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    let rate = access.0.rates.take(&caller.key.id);
    let mut response = match rate.refused_for_seconds {
        Some(seconds) => ApiError::rate_limited(seconds).into_response(),
        None => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
    };
    rate.write(response.headers_mut());
    response
}

async fn identify(access: &AccessControl, headers: &HeaderMap, scope: Scope) -> Result<Caller, ApiError> {
    let text = key_text(headers).ok_or_else(|| ApiError::unauthorized("missing or wrong API key"))?;
    let key = access.key(text, SystemClock.now()).await?;
    if !key.scopes.contains(&scope) {
        return Err(ApiError::forbidden(&format!("this needs a key with the scope {}", scope.as_str())));
    }
    let organization = match headers.get(&X_ORGANIZATION_ID) {
        None => key.organization.clone(),
        Some(named) => {
            let named = named.to_str().map_err(|_| ApiError::bad_field("X-Organization-Id", "must be printable"))?;
            let named = OrganizationId::parse(named)
                .map_err(|error| ApiError::bad_field("X-Organization-Id", error.to_string()))?;
            if !key.operator && named != key.organization {
                return Err(ApiError::forbidden("the key belongs to another organization"));
            }
            named
        }
    };
    Ok(Caller { key, organization })
}

fn key_text(headers: &HeaderMap) -> Option<&str> {
    let own = headers.get(&X_API_KEY).and_then(|value| value.to_str().ok());
    own.or_else(|| {
        let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    })
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use axum::http::HeaderValue;
    use evenstock_app::KeyAdminStore;
    use evenstock_app::testing::MemoryStore;
    use rstest::rstest;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::EPOCH.plus_millis(millis)
    }

    fn hash(text: &str) -> KeyHash {
        Sha256::digest(text.as_bytes()).into()
    }

    fn key(expires_at: Option<Timestamp>) -> ApiKey {
        let organization = OrganizationId::parse("us").unwrap();
        ApiKey { id: "k1".to_owned(), organization, scopes: vec![Scope::Read], operator: false, expires_at }
    }

    fn access() -> (Arc<MemoryStore>, AccessControl) {
        let store = Arc::new(MemoryStore::default());
        let rates = RateLimits::new(NonZeroU32::MAX, NonZeroU32::MAX);
        (Arc::clone(&store), AccessControl::new(store, rates))
    }

    #[tokio::test]
    async fn answer_about_a_key_is_believed_for_a_minute() {
        let (store, access) = access();
        assert!(access.key("secret", at(0)).await.is_err());
        store.put_key(hash("secret"), key(None));
        assert!(access.key("secret", at(CACHE_MS - 1)).await.is_err(), "wrong keys are remembered too");
        assert_eq!(access.key("secret", at(CACHE_MS)).await.unwrap(), key(None));
        store.put_key(hash("secret"), key(Some(at(0))));
        assert!(access.key("secret", at(2 * CACHE_MS - 1)).await.is_ok());
        assert!(access.key("secret", at(2 * CACHE_MS)).await.is_err());
    }

    #[tokio::test]
    async fn key_expires_on_time_even_while_it_is_remembered() {
        let (store, access) = access();
        store.put_key(hash("secret"), key(Some(at(1000))));
        assert!(access.key("secret", at(999)).await.is_ok());
        assert!(access.key("secret", at(1000)).await.is_err());
    }

    #[tokio::test]
    async fn use_of_a_key_is_noted_once_an_hour_and_never_of_a_wrong_one() {
        let (store, access) = access();
        store.put_key(hash("secret"), key(None));
        let noted = async || store.key_by_id("k1").await.unwrap().unwrap().last_used_at;
        for (now, expected) in [(7, 7), (7 + NOTE_MS - 1, 7), (7 + NOTE_MS, 7 + NOTE_MS)] {
            assert!(access.key("wrong", at(now)).await.is_err());
            assert!(access.key("secret", at(now)).await.is_ok());
            assert_eq!(noted().await, Some(at(expected)));
        }
    }

    #[tokio::test]
    async fn key_that_was_revoked_stops_within_a_minute() {
        let (store, access) = access();
        store.put_key(hash("secret"), key(None));
        assert!(access.key("secret", at(0)).await.is_ok());
        store.revoke_key(&hash("secret"), at(1)).await.unwrap();
        assert!(access.key("secret", at(CACHE_MS - 1)).await.is_ok());
        assert!(access.key("secret", at(CACHE_MS)).await.is_err());
    }

    #[tokio::test]
    async fn text_that_is_too_long_for_a_key_is_refused_unread() {
        let (store, access) = access();
        let long = "k".repeat(KEY_CHARACTERS_MAX + 1);
        store.put_key(hash(&long), key(None));
        assert!(access.key(&long, at(0)).await.is_err());
        assert!(access.0.seen.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn memory_of_keys_is_bounded() {
        let (_, access) = access();
        for n in 0..=CACHE_KEYS_MAX {
            access.remember(hash(&n.to_string()), Seen { key: None, at: at(0), noted_at: None });
        }
        assert_eq!(access.0.seen.lock().unwrap().len(), 1);
    }

    #[rstest]
    #[case::own_header(&[("x-api-key", "secret")], Some("secret"))]
    #[case::bearer(&[("authorization", "Bearer secret")], Some("secret"))]
    #[case::bearer_in_any_case(&[("authorization", "bEARER  secret ")], Some("secret"))]
    #[case::own_header_wins(&[("authorization", "Bearer other"), ("x-api-key", "secret")], Some("secret"))]
    #[case::basic(&[("authorization", "Basic c2VjcmV0")], None)]
    #[case::scheme_only(&[("authorization", "Bearer")], None)]
    #[case::none(&[], None)]
    fn key_is_found_in_either_header(#[case] headers: &[(&'static str, &'static str)], #[case] expected: Option<&str>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        assert_eq!(key_text(&headers), expected);
    }
}
