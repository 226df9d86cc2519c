//! The gateway: which routes ask for a token when an issuer is given, and how many requests they take.

use std::collections::BTreeSet;

use crate::yaml::{Target, Template};

/// Routes that need no key: health, the description, deliveries that are signed, and the mock.
const OPEN: [&str; 8] = [
    "get /health",
    "get /openapi.json",
    "get /api/health",
    "get /api/health/liveness",
    "get /api/health/readiness",
    "post /webhooks/marketplace-a",
    "post /ingest/{channel}/{storeId}",
    "post /mock/{marketplace}/validate",
];

#[test]
fn every_route_that_needs_a_key_can_ask_for_a_token_too() {
    let template = Template::read();
    let mut routes = BTreeSet::new();
    for (_, function) in template.functions() {
        for event in Template::triggers(function, "HttpApi") {
            let (method, path) = (&event["Properties"]["Method"], &event["Properties"]["Path"]);
            routes.insert(format!("{} {}", method.as_str().unwrap().to_lowercase(), path.as_str().unwrap()));
        }
    }
    let open = BTreeSet::from(OPEN.map(str::to_owned));
    assert!(routes.is_superset(&open), "{:?} are no routes", open.difference(&routes));

    let paths = &template.resource("HttpApi")["Properties"]["DefinitionBody"]["paths"];
    let mut locked = BTreeSet::new();
    for (path, methods) in paths.as_mapping().unwrap() {
        for (method, operation) in methods.as_mapping().unwrap() {
            let route = format!("{} {}", method.as_str().unwrap(), path.as_str().unwrap());
            let serde_yaml_ng::Value::Tagged(condition) = &operation["security"] else {
                panic!("{route} depends on no condition");
            };
            assert_eq!(condition.tag.to_string(), "!If", "{route}");
            assert_eq!(condition.value[0], "ChecksTokens", "{route}");
            assert!(condition.value[1][0]["Jwt"].is_sequence(), "{route}");
            assert_eq!(condition.value[2].target(), "AWS::NoValue", "{route}");
            locked.insert(route);
        }
    }
    let needing_keys: BTreeSet<_> = routes.difference(&open).cloned().collect();
    assert_eq!(locked, needing_keys, "the routes of HttpApi's DefinitionBody");
}

#[test]
fn tokens_are_checked_for_the_issuer_and_audience_of_the_parameters() {
    let template = Template::read();
    let schemes = &template.resource("HttpApi")["Properties"]["DefinitionBody"]["components"]["securitySchemes"];
    let serde_yaml_ng::Value::Tagged(condition) = schemes else { panic!("it depends on no condition") };
    assert_eq!(condition.value[0], "ChecksTokens");
    let authorizer = &condition.value[1]["Jwt"]["x-amazon-apigateway-authorizer"];
    assert_eq!(authorizer["type"], "jwt");
    assert_eq!(authorizer["identitySource"], "$request.header.Authorization");
    assert_eq!(authorizer["jwtConfiguration"]["issuer"].target(), "JwtIssuer");
    assert_eq!(authorizer["jwtConfiguration"]["audience"].target(), "JwtAudience");
}

#[test]
fn gateway_is_throttled_and_its_functions_can_reserve_what_they_need() {
    let template = Template::read();
    let throttle = &template.resource("HttpApi")["Properties"]["DefaultRouteSettings"];
    assert_eq!(throttle["ThrottlingRateLimit"].target(), "RateLimitRps");
    assert_eq!(throttle["ThrottlingBurstLimit"].target(), "RateLimitBurst");
    for (name, function) in template.functions() {
        // What exists for development only starves nobody.
        if Template::triggers(function, "HttpApi").next().is_some() && function["Condition"].is_null() {
            let reserved = &function["Properties"]["ReservedConcurrentExecutions"];
            assert!(!reserved.is_null(), "{name} cannot reserve concurrency");
        }
    }
}
