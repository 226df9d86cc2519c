//! Marketplace A's signature: HMAC-SHA256 of the raw body, in hexadecimal digits of either case.
//!
//! Must not know what a body means: it is not even text before its signature is proven.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{InvalidSignature, Secret};

/// Proves the body under any of the secrets; more than one is active while a secret is rotated.
pub(crate) fn verify(body: &[u8], signature: Option<&[u8]>, secrets: &[Secret]) -> Result<(), InvalidSignature> {
    let mut stated = [0; 32];
    hex::decode_to_slice(signature.ok_or(InvalidSignature)?, &mut stated).map_err(|_| InvalidSignature)?;
    if secrets.iter().any(|secret| proves(secret, body, &stated)) { Ok(()) } else { Err(InvalidSignature) }
}

/// Takes the same time wherever the signatures begin to differ.
fn proves(secret: &Secret, body: &[u8], stated: &[u8; 32]) -> bool {
    // A key of any length makes a MAC, so there is no error to tell.
    Hmac::<Sha256>::new_from_slice(secret.expose()).is_ok_and(|mac| mac.chain_update(body).verify_slice(stated).is_ok())
}
