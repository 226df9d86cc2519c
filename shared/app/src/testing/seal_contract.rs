//! What every sealer must do, run on each by [`seal_contract!`](crate::seal_contract).
#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "these functions are test bodies"
)]

use crate::{SealError, Sealed, Sealer};

const CONTEXT: &str = "store/demo/42/access-token";
const SECRET: &str = "hunter2: pässword, and more than one block of it";

pub async fn secret_opens_where_it_was_sealed<S: Sealer>(sealer: &S) {
    for secret in ["", "x", SECRET] {
        let sealed = sealer.seal(CONTEXT, secret).await.unwrap();
        // As it is stored and read back.
        let sealed = Sealed::from_stored(sealed.as_str());
        assert_eq!(sealer.open(CONTEXT, &sealed).await.unwrap().expose(), secret);
        assert!(sealed.as_str().bytes().all(|byte| byte.is_ascii_graphic()), "{}", sealed.as_str());
    }
}

pub async fn secret_of_another_item_does_not_open<S: Sealer>(sealer: &S) {
    let sealed = sealer.seal(CONTEXT, SECRET).await.unwrap();
    for context in ["store/demo/43/access-token", "store/demo/42/webhook-secret", ""] {
        let error = sealer.open(context, &sealed).await.unwrap_err();
        assert!(matches!(error, SealError::Tampered { .. }) && !error.is_passing(), "{context}: {error:?}");
    }
}

pub async fn changed_text_does_not_open<S: Sealer>(sealer: &S) {
    let sealed = sealer.seal(CONTEXT, SECRET).await.unwrap();
    for place in 0..sealed.as_str().len() {
        let mut bytes = sealed.as_str().as_bytes().to_vec();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = Sealed::from_stored(String::from_utf8(bytes).unwrap());
        let opened = sealer.open(CONTEXT, &changed).await;
        assert!(opened.is_err_and(|error| !error.is_passing()), "{place}");
        let cut = Sealed::from_stored(&sealed.as_str()[..place]);
        assert!(sealer.open(CONTEXT, &cut).await.is_err_and(|error| !error.is_passing()), "{place}");
    }
}

pub async fn text_that_was_never_sealed_is_told_apart<S: Sealer>(sealer: &S) {
    for text in ["", "token-abc", SECRET, "9.x.AAAA", "1.", "1"] {
        let error = sealer.open(CONTEXT, &Sealed::from_stored(text)).await.unwrap_err();
        assert!(matches!(error, SealError::Malformed), "{text}: {error:?}");
    }
}

pub async fn unknown_key_is_named<S: Sealer>(sealer: &S) {
    let sealed = sealer.seal(CONTEXT, SECRET).await.unwrap();
    let rest = sealed.as_str().splitn(3, '.').nth(2).unwrap().to_owned();
    let error = sealer.open(CONTEXT, &Sealed::from_stored(format!("1.of-old.{rest}"))).await.unwrap_err();
    assert!(matches!(&error, SealError::UnknownKey { key_id } if key_id == "of-old"), "{error:?}");
    assert!(!error.is_passing());
}

/// Makes a test of each function: `seal_contract!(make)` where `make` is an async function that gives a guard whose
/// `sealer` field is a sealer.
#[macro_export]
macro_rules! seal_contract {
    ($make:path) => {
        $crate::seal_contract!(@each $make,
            secret_opens_where_it_was_sealed, secret_of_another_item_does_not_open, changed_text_does_not_open,
            text_that_was_never_sealed_is_told_apart, unknown_key_is_named
        );
    };
    (@each $make:path, $($name:ident),+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let guard = $make().await;
                $crate::testing::seal_contract::$name(&guard.sealer).await;
            }
        )+
    };
}
