//! What holds for every body and signature, not only for the ones somebody thought of.

use evenstock_domain::EventIdKey;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// Text that comes close to a delivery: the body with a few of its bytes replaced.
fn almost_a_body() -> impl Strategy<Value = Vec<u8>> {
    vec((any::<Index>(), prop_oneof![any::<u8>(), proptest::sample::select(&b"\"{}[]:,0-.e\\"[..])]), 0..4).prop_map(
        |edits| {
            let mut body = BODY.as_bytes().to_vec();
            for (place, byte) in edits {
                let place = place.index(body.len());
                body[place] = byte;
            }
            body
        },
    )
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_verify(body in vec(any::<u8>(), 0..200), signature in vec(any::<u8>(), 0..100)) {
        let secrets = [Secret::new("secret").unwrap()];
        prop_assert_eq!(MarketplaceA.verify(&body, Some(&signature), &secrets), Err(InvalidSignature));
    }

    #[test]
    fn signed_body_passes_and_a_changed_one_does_not(
        body in vec(any::<u8>(), 1..200), secret in "\\PC{1,80}", place in any::<Index>(), flip in 1_u8..,
    ) {
        let signature = signed(&secret, &body);
        prop_assert_eq!(verify(&body, &signature, &[&secret]), Ok(()));
        let mut changed = body.clone();
        changed[place.index(body.len())] ^= flip;
        prop_assert_eq!(verify(&changed, &signature, &[&secret]), Err(InvalidSignature));
    }

    #[test]
    fn whatever_is_adapted_is_an_event_and_whatever_is_not_says_why(
        body in prop_oneof![vec(any::<u8>(), 0..300), almost_a_body()],
    ) {
        match adapt(&body) {
            Ok(changes) => {
                for change in changes {
                    prop_assert!(change.to_event(&EventIdKey::new([0; 16])).is_ok());
                }
            }
            Err(issues) => prop_assert!(!issues.is_empty()),
        }
    }

    #[test]
    fn every_name_that_a_product_may_have_survives(code in "\\PC{1,40}") {
        let json = serde_json::to_string(&code).unwrap();
        let adapted = adapt(BODY.replace("\"SKU-1\"", &json));
        match evenstock_domain::Sku::parse(&code) {
            Ok(_) => prop_assert_eq!(&adapted.unwrap()[0].sku, &code),
            Err(why) => prop_assert_eq!(adapted.unwrap_err(), vec![("product_code".to_owned(), why.to_string())]),
        }
    }
}
