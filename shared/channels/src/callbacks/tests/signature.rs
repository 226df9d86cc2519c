//! The signature against the vectors of the specification's own libraries.

use evenstock_domain::Timestamp;
use rstest::rstest;
use serde_json::Value;

use crate::callbacks::{InvalidCallback, ReceivedHeaders, SigningKey};

fn vector() -> Value {
    serde_json::from_str(include_str!("standard-webhooks.json")).unwrap()
}

fn text(name: &str) -> String {
    vector()[name].as_str().unwrap().to_owned()
}

fn key() -> SigningKey {
    SigningKey::parse(&text("secret")).unwrap()
}

fn sent() -> i64 {
    vector()["timestamp"].as_i64().unwrap()
}

fn verify(signature: &str, age_seconds: i64) -> Result<(), InvalidCallback> {
    let (id, timestamp) = (text("id"), sent().to_string());
    let headers = ReceivedHeaders { id: Some(&id), timestamp: Some(&timestamp), signature: Some(signature) };
    key().verify(headers, text("body").as_bytes(), Timestamp::from_seconds(sent() + age_seconds).unwrap())
}

#[test]
fn signature_is_that_of_the_specification() {
    let signed = key().sign(&text("id"), sent(), text("body").as_bytes());
    assert_eq!(signed, text("signature"));
    let bare = SigningKey::parse(text("secret").strip_prefix("whsec_").unwrap()).unwrap();
    assert_eq!(bare.sign(&text("id"), sent(), text("body").as_bytes()), signed, "the prefix is optional");
}

#[rstest]
#[case::alone("SIGNATURE")]
#[case::behind_a_wrong_one("WRONG SIGNATURE")]
#[case::before_a_wrong_one("SIGNATURE WRONG")]
#[case::behind_an_unknown_version("v9,AAAA v1a,SIG= SIGNATURE")]
fn valid_signature_is_accepted_among_others(#[case] signatures: &str) {
    let signatures = signatures.replace("SIGNATURE", &text("signature")).replace("WRONG", &text("wrong"));
    assert_eq!(verify(&signatures, 0), Ok(()));
}

#[rstest]
#[case::wrong("WRONG")]
#[case::unknown_version_only("v2,BARE")]
#[case::no_version("BARE")]
#[case::cut_short("v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kk")]
#[case::not_base64("v1,***")]
#[case::empty("")]
fn other_signatures_are_rejected(#[case] signatures: &str) {
    let bare = text("signature").replace("v1,", "");
    let signatures = signatures.replace("WRONG", &text("wrong")).replace("BARE", &bare);
    assert_eq!(verify(&signatures, 0), Err(InvalidCallback::Signature));
}

#[test]
fn callback_from_another_time_is_rejected() {
    for age in [-300, 0, 300] {
        assert_eq!(verify(&text("signature"), age), Ok(()));
    }
    for age in [-301, 301] {
        assert_eq!(verify(&text("signature"), age), Err(InvalidCallback::NotNow));
    }
}

#[test]
fn missing_header_is_rejected() {
    let (id, timestamp, signature) = (text("id"), sent().to_string(), text("signature"));
    let whole = ReceivedHeaders { id: Some(&id), timestamp: Some(&timestamp), signature: Some(&signature) };
    let now = Timestamp::from_seconds(sent()).unwrap();
    for headers in [
        ReceivedHeaders { id: None, ..whole },
        ReceivedHeaders { timestamp: None, ..whole },
        ReceivedHeaders { signature: None, ..whole },
    ] {
        assert_eq!(key().verify(headers, text("body").as_bytes(), now), Err(InvalidCallback::HeaderMissing));
    }
    let odd = ReceivedHeaders { timestamp: Some("soon"), ..whole };
    assert_eq!(key().verify(odd, text("body").as_bytes(), now), Err(InvalidCallback::Timestamp));
}

#[rstest]
#[case::empty("")]
#[case::bare_prefix("whsec_")]
#[case::not_base64("whsec_***")]
fn text_without_a_key_is_no_secret(#[case] secret: &str) {
    assert!(SigningKey::parse(secret).is_err());
}

#[test]
fn secret_that_is_shown_reads_back_and_stays_hidden_otherwise() {
    let shown = SigningKey::text_of(&[7; 32]);
    assert!(shown.starts_with("whsec_"));
    let key = SigningKey::parse(&shown).unwrap();
    assert_eq!(format!("{key:?}"), "SigningKey(redacted)");
}
