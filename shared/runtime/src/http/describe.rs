//! Describes endpoints in OpenAPI 3.1.
//!
//! Owns what all endpoints have in common: the errors that the shell and the key check can answer with, the headers,
//! the ways to show a key. What an endpoint adds stands beside its routes. Nothing here runs when requests do; tests
//! hold the description to what is answered.

use std::collections::BTreeSet;

use evenstock_app::Scope;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, Info, License, OpenApi, OpenApiBuilder, Ref, RefOr, Required};
use utoipa::{PartialSchema, ToSchema};

use super::ErrorBody;

/// The errors: status, name in the document, what it means.
const REFUSALS: [(u16, &str, &str); 11] = [
    (400, "BadRequest", "`bad_request`: the request itself is wrong; `details` names every wrong field."),
    (401, "Unauthorized", "`unauthorized`: no valid key or signature."),
    (403, "Forbidden", "`forbidden`: the key lacks the scope, or belongs to another organization."),
    (404, "NotFound", "`not_found`: there is no such thing, or none of this organization."),
    (
        409,
        "Conflict",
        "`conflict`: the caller's picture is out of date. On a level, `current` carries it as it stands.",
    ),
    (410, "Gone", "`gone`: it was there, and is kept no longer."),
    (413, "TooLarge", "`too_large`: the body is larger than is read here."),
    (422, "Unprocessable", "`unprocessable`: understood, and against the rules. On a level, `current` carries it."),
    (429, "RateLimited", "`rate_limited`: more requests than the key may send."),
    (500, "Internal", "`internal`: our failure. Says nothing about its cause; the log does, under the request's id."),
    (503, "Unavailable", "`unavailable`: not now. The same request may be sent again."),
];

/// The headers of answers: name, what it means.
const HEADERS: [(&str, &str); 7] = [
    ("X-Request-Id", "Names the request in our logs: the caller's own id, or a new one."),
    ("X-RateLimit-Limit", "Requests that the key may send at once. On every answer to a valid key."),
    ("X-RateLimit-Remaining", "Requests that are left of them; an estimate."),
    ("X-RateLimit-Reset", "Seconds until all of them are there again."),
    ("Retry-After", "Seconds to wait before the next try."),
    ("ETag", "The version, as an entity tag."),
    ("Idempotency-Replayed", "`true` when this is the answer of an earlier request under the same key."),
];

const ALWAYS: &[&str] = &["X-Request-Id"];
const KEYED: &[&str] = &["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];
const ORGANIZATION: &str = "X-Organization-Id";
const KEY: &str = "Idempotency-Key";
const BY_KEY: &[&str] = &["apiKey", "bearer"];
const BY_ACCOUNT: &[&str] = &["account"];

/// One endpoint, as callers should know it.
pub struct Endpoint {
    method: HttpMethod,
    path: &'static str,
    operation: OperationBuilder,
    /// The ways to say who asks, any of which will do.
    admitted_by: &'static [&'static str],
    answers: Vec<(u16, ResponseBuilder)>,
    refusals: BTreeSet<u16>,
    headers: BTreeSet<&'static str>,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Endpoint {
    /// `GET`, under a name that is unique in the document.
    pub fn get(path: &'static str, id: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Get, path, id, summary)
    }

    /// `POST`.
    pub fn post(path: &'static str, id: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Post, path, id, summary)
    }

    /// `PUT`.
    pub fn put(path: &'static str, id: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Put, path, id, summary)
    }

    /// `PATCH`.
    pub fn patch(path: &'static str, id: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Patch, path, id, summary)
    }

    /// `DELETE`.
    pub fn delete(path: &'static str, id: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Delete, path, id, summary)
    }

    fn new(method: HttpMethod, path: &'static str, id: &str, summary: &str) -> Self {
        let operation = OperationBuilder::new().operation_id(Some(id)).summary(Some(summary));
        let endpoint = Self {
            method,
            path,
            operation,
            admitted_by: &[],
            answers: Vec::new(),
            refusals: BTreeSet::from([500]),
            headers: ALWAYS.iter().copied().collect(),
            schemas: Vec::new(),
        };
        let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        names.fold(endpoint, |endpoint, name| {
            let schema = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(128));
            endpoint.parameter(ParameterIn::Path, name, "Percent-encoded.", schema).refuses(&[400])
        })
    }

    /// Needs a key with this scope.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.admitted_by = BY_KEY;
        self.operation = self.operation.description(Some(format!("Needs a key with the scope `{}`.", scope.as_str())));
        self.headers.extend(KEYED);
        self.operation = self.operation.parameter_ref(Ref::new(format!("#/components/parameters/{ORGANIZATION}")));
        self.refuses(&[400, 401, 403, 429, 503])
    }

    /// Needs an account and its password, and no key.
    #[must_use]
    pub fn basic(mut self) -> Self {
        self.admitted_by = BY_ACCOUNT;
        self.refuses(&[401])
    }

    /// Takes a text from the query.
    #[must_use]
    pub fn query(self, name: &str, about: &str) -> Self {
        let text = ObjectBuilder::new().schema_type(Type::String);
        self.parameter(ParameterIn::Query, name, about, text).refuses(&[400])
    }

    /// Takes a whole number from the query, within these bounds.
    #[must_use]
    pub fn query_number(self, name: &str, about: &str, (least, most): (u32, u32)) -> Self {
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most));
        self.parameter(ParameterIn::Query, name, about, number).refuses(&[400])
    }

    /// Takes a header.
    #[must_use]
    pub fn header(self, name: &str, about: &str) -> Self {
        let text = ObjectBuilder::new().schema_type(Type::String);
        self.parameter(ParameterIn::Header, name, about, text)
    }

    /// Answers page by page.
    #[must_use]
    pub fn paged(self, rows_max: u32) -> Self {
        self.query("cursor", "Where the listing goes on: the `nextCursor` of the page before.").query_number(
            "limit",
            "Rows of a page at most.",
            (1, rows_max),
        )
    }

    /// Takes an `Idempotency-Key`.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.headers.insert("Idempotency-Replayed");
        self.operation = self.operation.parameter_ref(Ref::new(format!("#/components/parameters/{KEY}")));
        self.refuses(&[400, 422])
    }

    /// Answers with an `ETag`.
    #[must_use]
    pub fn tagged(mut self) -> Self {
        self.headers.insert("ETag");
        self
    }

    fn parameter(mut self, place: ParameterIn, name: &str, about: &str, schema: ObjectBuilder) -> Self {
        self.operation = self.operation.parameter(parameter(place, name, about, schema));
        self
    }

    /// Reads this body.
    #[must_use]
    pub fn body<T: ToSchema>(mut self) -> Self {
        let schema = self.schema::<T>();
        self.with_body(schema)
    }

    /// Reads this body, if there is one.
    #[must_use]
    pub fn optional_body<T: ToSchema>(mut self) -> Self {
        let schema = self.schema::<T>();
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::False));
        self.operation = self.operation.request_body(Some(body.build()));
        self.refuses(&[400, 413])
    }

    /// Reads one of these bodies.
    #[must_use]
    pub fn body_of<T: ToSchema, U: ToSchema>(mut self) -> Self {
        let either = OneOfBuilder::new().item(self.schema::<T>()).item(self.schema::<U>());
        self.with_body(RefOr::T(Schema::OneOf(either.build())))
    }

    fn with_body(mut self, schema: RefOr<Schema>) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        self.operation = self.operation.request_body(Some(body.build()));
        self.refuses(&[400, 413])
    }

    /// Answers this body.
    #[must_use]
    pub fn answers<T: ToSchema>(mut self, status: u16, about: &str) -> Self {
        let content = ContentBuilder::new().schema(Some(self.schema::<T>())).build();
        let answer = ResponseBuilder::new().description(about).content("application/json", content);
        self.refusals.remove(&status);
        self.answers.push((status, answer));
        self
    }

    /// Answers without a body.
    #[must_use]
    pub fn answers_nothing(mut self, status: u16, about: &str) -> Self {
        self.answers.push((status, ResponseBuilder::new().description(about)));
        self
    }

    /// Answers these errors too, apart from those that follow from its key, parameters and body.
    #[must_use]
    pub fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend(statuses);
        self
    }

    fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), T::schema()));
        RefOr::Ref(Ref::from_schema_name(T::name()))
    }

    fn item(self, tag: &str) -> PathItem {
        let security: Vec<_> = self.admitted_by.iter().copied().map(requirement).collect();
        let mut operation = self.operation.tag(tag).securities(Some(security));
        for (status, answer) in self.answers {
            let retry = ["Retry-After"].into_iter().filter(|_| status == 503);
            let headers = self.headers.iter().copied().chain(retry);
            operation = operation.response(status.to_string(), with_headers(answer, headers));
        }
        for (status, name, _) in REFUSALS.into_iter().filter(|(status, ..)| self.refusals.contains(status)) {
            operation = operation.response(status.to_string(), RefOr::<Response>::Ref(Ref::from_response_name(name)));
        }
        PathItem::new(self.method, operation)
    }
}

/// Describes a function's endpoints under its name. Descriptions of several functions can be merged.
pub fn describe(function: &str, endpoints: impl IntoIterator<Item = Endpoint>) -> OpenApi {
    let mut components = components();
    let mut paths = PathsBuilder::new();
    for mut endpoint in endpoints {
        for (name, schema) in endpoint.schemas.drain(..) {
            components = components.schema(name, schema);
        }
        paths = paths.path(endpoint.path, endpoint.item(function));
    }
    let mut info = Info::new("Evenstock", env!("CARGO_PKG_VERSION"));
    info.description = Some("Keeps stock even across every sales channel.".to_owned());
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    info.license = Some(license);
    info.contact = None;
    OpenApiBuilder::new().info(info).paths(paths.build()).components(Some(components.build())).build()
}

fn components() -> ComponentsBuilder {
    let mut schemas = Vec::new();
    ErrorBody::schemas(&mut schemas);
    let mut components = ComponentsBuilder::new().schema(ErrorBody::name(), ErrorBody::schema());
    for (name, schema) in schemas {
        components = components.schema(name, schema);
    }
    for (status, name, about) in REFUSALS {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ErrorBody::name()))).build();
        let retry = ["Retry-After"].into_iter().filter(|_| [429, 503].contains(&status));
        let headers = ALWAYS.iter().chain(KEYED).copied().chain(retry);
        let response = ResponseBuilder::new().description(about).content("application/json", content);
        components = components.response(name, with_headers(response, headers));
    }
    for (name, about) in HEADERS {
        let text = Schema::Object(ObjectBuilder::new().schema_type(Type::String).build());
        components = components.header(name, HeaderBuilder::new().schema(Some(text)).description(Some(about)).build());
    }
    let about = "The organization that the request is about. Only an operator's key may name another than its own.";
    let text = ObjectBuilder::new().schema_type(Type::String);
    components = components.parameter(ORGANIZATION, parameter(ParameterIn::Header, ORGANIZATION, about, text));
    let about = "Names this request: sent again under the same key it has no other effect, and gets the first answer. \
                 Bound to method, path and body; another request under it is a 422.";
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
    components = components.parameter(KEY, parameter(ParameterIn::Header, KEY, about, text));
    let own = ApiKey::Header(ApiKeyValue::with_description("X-API-Key", "The key as it is."));
    let account =
        HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some("An account of a played marketplace."));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The same key as a bearer token."));
    components
        .security_scheme("apiKey", SecurityScheme::ApiKey(own))
        .security_scheme("account", SecurityScheme::Http(account.build()))
        .security_scheme("bearer", SecurityScheme::Http(bearer.build()))
}

fn parameter(place: ParameterIn, name: &str, about: &str, schema: ObjectBuilder) -> Parameter {
    let required = if matches!(place, ParameterIn::Path) { Required::True } else { Required::False };
    let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(required);
    parameter.description(Some(about)).schema(Some(Schema::Object(schema.build()))).build()
}

fn with_headers<'a>(answer: ResponseBuilder, names: impl Iterator<Item = &'a str>) -> Response {
    let named =
        |answer: ResponseBuilder, name| answer.header_ref(name, Ref::new(format!("#/components/headers/{name}")));
    names.fold(answer, named).build()
}

fn requirement(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new(scheme, core::iter::empty::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::ApiError;
    use super::*;

    #[test]
    fn every_error_that_can_be_made_is_described_under_its_code() {
        let cause = || std::io::Error::other("down");
        let errors = [
            ApiError::bad_request(Vec::new()),
            ApiError::unauthorized(""),
            ApiError::forbidden(""),
            ApiError::not_found(""),
            ApiError::conflict("", None),
            ApiError::too_large(),
            ApiError::unprocessable("", None),
            ApiError::rate_limited(1),
            ApiError::internal(cause()),
            ApiError::unavailable(cause()),
            ApiError::not_configured(""),
        ];
        for error in errors {
            let about = REFUSALS.iter().find(|(status, ..)| *status == error.status.as_u16()).unwrap().2;
            assert!(about.starts_with(&format!("`{}`", error.code)), "{about}");
        }
    }

    #[test]
    fn what_an_endpoint_takes_says_what_it_refuses() {
        let statuses = |endpoint: Endpoint| {
            let item = endpoint.item("test");
            let operation = item.get.unwrap();
            operation.responses.responses.into_keys().collect::<Vec<_>>()
        };
        let open = || Endpoint::get("/a", "a", "").answers_nothing(204, "");
        assert_eq!(statuses(open()), ["204", "500"]);
        assert_eq!(statuses(open().scope(Scope::Read)), ["204", "400", "401", "403", "429", "500", "503"]);
        assert_eq!(statuses(open().idempotent()), ["204", "400", "422", "500"]);
        assert_eq!(statuses(open().body::<ErrorBody>()), ["204", "400", "413", "500"]);
        assert_eq!(statuses(Endpoint::get("/a/{id}", "a", "")), ["400", "500"]);
    }
}
