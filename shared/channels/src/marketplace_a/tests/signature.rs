//! Which signatures prove a body.

use rstest::rstest;

use super::*;

/// Made by another implementation.
const SIGNATURE: &str = "dc916ecf68e787eaeeb984f640e0dbfbbb1b2052303c57f4540e82db4d64e265";

#[test]
fn signature_of_another_implementation_passes() {
    assert_eq!(verify(BODY.as_bytes(), SIGNATURE, &["secret"]), Ok(()));
}

#[test]
fn published_test_vector_passes() {
    // RFC 4231, test case 2.
    let signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(verify(b"what do ya want for nothing?", signature, &["Jefe"]), Ok(()));
}

#[test]
fn upper_case_digits_pass() {
    assert_eq!(verify(BODY.as_bytes(), &SIGNATURE.to_uppercase(), &["secret"]), Ok(()));
}

#[test]
fn correctly_signed_body_with_spaces_passes() {
    let spaced = BODY.replace(':', " : ").replace(',', " ,\r\n\t");
    assert_eq!(verify(spaced.as_bytes(), &signed("secret", spaced.as_bytes()), &["secret"]), Ok(()));
}

#[test]
fn signature_over_reformatted_json_is_refused() {
    let reformatted = BODY.replace(':', ": ").replace(',', ", ");
    assert_eq!(verify(BODY.as_bytes(), &signed("secret", reformatted.as_bytes()), &["secret"]), Err(InvalidSignature));
    assert_eq!(verify(reformatted.as_bytes(), SIGNATURE, &["secret"]), Err(InvalidSignature));
}

#[test]
fn body_that_is_no_text_can_be_signed() {
    let body = [0xff, 0x00, 0xfe];
    assert_eq!(verify(&body, &signed("secret", &body), &["secret"]), Ok(()));
}

#[rstest]
#[case::other_digits(&"ab".repeat(32))]
#[case::first_digit_off(&SIGNATURE.replacen("dc9", "cc9", 1))]
#[case::last_digit_off(&SIGNATURE.replace("e265", "e264"))]
#[case::empty("")]
#[case::short(&SIGNATURE[..62])]
#[case::odd(&SIGNATURE[..63])]
#[case::long(&format!("{SIGNATURE}00"))]
#[case::twice(&SIGNATURE.repeat(2))]
#[case::other_alphabet(&"zz".repeat(32))]
#[case::prefixed(&format!("sha256={SIGNATURE}"))]
#[case::padded(&format!(" {SIGNATURE}"))]
#[case::not_ascii(&"é".repeat(32))]
fn wrong_signature_is_refused(#[case] signature: &str) {
    assert_eq!(verify(BODY.as_bytes(), signature, &["secret"]), Err(InvalidSignature));
}

#[test]
fn missing_signature_is_refused() {
    let secrets = [Secret::new("secret").unwrap()];
    assert_eq!(MarketplaceA.verify(BODY.as_bytes(), None, &secrets), Err(InvalidSignature));
}

#[test]
fn both_secrets_verify_while_one_is_rotated() {
    for secret in ["old", "new"] {
        assert_eq!(verify(BODY.as_bytes(), &signed(secret, BODY.as_bytes()), &["new", "old"]), Ok(()));
    }
    assert_eq!(verify(BODY.as_bytes(), &signed("old", BODY.as_bytes()), &["new"]), Err(InvalidSignature));
}

#[test]
fn nothing_verifies_without_a_secret() {
    // A MAC under an empty key is what a misconfigured receiver would accept from everybody.
    let mac = Hmac::<Sha256>::new_from_slice(b"").unwrap().chain_update(BODY);
    assert_eq!(verify(BODY.as_bytes(), &hex::encode(mac.finalize().into_bytes()), &[]), Err(InvalidSignature));
}
