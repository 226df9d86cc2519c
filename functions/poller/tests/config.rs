//! The marketplace as the environment describes it.

use evenstock_poller::marketplace_b;
use evenstock_runtime::ConfigError;
use rstest::rstest;

#[test]
fn no_address_means_no_marketplace() {
    let environment = [("MARKETPLACE_B_API", ""), ("MARKETPLACE_B_API_KEY", "hunter2")].into_iter().collect();
    assert!(marketplace_b(&environment).unwrap().is_none());
}

#[test]
fn address_and_key_are_enough() {
    let pairs = [("MARKETPLACE_B_API", "https://b.example"), ("MARKETPLACE_B_API_KEY", "hunter2")];
    let (feed, plan) = marketplace_b(&pairs.into_iter().collect()).unwrap().unwrap();
    assert_eq!((plan.source.as_str(), plan.organization.as_str()), ("marketplace-b/default", "demo"));
    assert_eq!(plan.interval_ms, 300_000);
    assert_eq!((plan.breaker.threshold, plan.breaker.cooldown_ms), (3, 900_000));
    assert!(!format!("{feed:?}").contains("hunter2"));
}

#[rstest]
#[case::key("MARKETPLACE_B_API_KEY", "hunter2 hunter2")]
#[case::address("MARKETPLACE_B_API", "hunter2")]
#[case::interval("POLL_INTERVAL_SECONDS", "hunter2")]
#[case::negative_interval("POLL_INTERVAL_SECONDS", "-1")]
#[case::threshold("BREAKER_THRESHOLD", "hunter2")]
#[case::cooldown("BREAKER_COOLDOWN_MS", "hunter2")]
#[case::organization("DEFAULT_ORGANIZATION", " hunter2")]
fn wrong_variable_is_named_and_never_shown(#[case] name: &str, #[case] value: &str) {
    let mut pairs = vec![("MARKETPLACE_B_API", "https://b.example"), ("MARKETPLACE_B_API_KEY", "key")];
    pairs.retain(|(known, _)| *known != name);
    pairs.push((name, value));
    let error = marketplace_b(&pairs.into_iter().collect()).unwrap_err().to_string();
    assert!(error.contains(name) && !error.contains("hunter2"), "{error}");
}

#[test]
fn address_without_a_key_is_an_error() {
    let environment = [("MARKETPLACE_B_API", "https://b.example")].into_iter().collect();
    assert_eq!(marketplace_b(&environment).unwrap_err(), ConfigError::Missing("MARKETPLACE_B_API_KEY"));
}
