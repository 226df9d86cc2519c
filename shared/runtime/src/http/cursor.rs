//! Opaque cursors: where a listing goes on, sealed so that a caller can neither read more into them than that nor make
//! their own.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evenstock_app::ListPosition;
use evenstock_domain::{LocationId, OrganizationId, Sku};
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;

/// The listing of levels.
const LEVELS: &str = "levels";

/// Bytes of the seal.
const SEAL_BYTES: usize = 12;

/// Seals cursors. Derived from the deployment's event id key, so that every instance reads every cursor.
#[derive(Clone)]
pub struct CursorKey(Vec<u8>);

impl core::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("CursorKey([redacted])")
    }
}

/// A cursor that we did not make for this organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this listing")]
pub struct InvalidCursor;

impl CursorKey {
    /// A key from the deployment's secret.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self(secret.into())
    }

    /// Writes a position in the listing of levels down.
    pub fn seal(&self, organization: &OrganizationId, position: &ListPosition) -> String {
        self.seal_position(organization, LEVELS, &(position.sku.as_str(), position.location.as_str()))
    }

    /// Reads a position in the listing of levels back.
    ///
    /// # Errors
    /// [`InvalidCursor`] for anything that [`CursorKey::seal`] did not write for this organization.
    pub fn open(&self, organization: &OrganizationId, cursor: &str) -> Result<ListPosition, InvalidCursor> {
        let (sku, location): (String, String) = self.open_position(organization, LEVELS, cursor)?;
        let sku = Sku::parse(&sku).map_err(|_| InvalidCursor)?;
        let location = LocationId::parse(&location).map_err(|_| InvalidCursor)?;
        Ok(ListPosition { sku, location })
    }

    /// Writes a position in any listing down. The listing's name keeps its cursors apart from those of others.
    pub fn seal_position(&self, organization: &OrganizationId, listing: &str, position: &impl Serialize) -> String {
        let text = serde_json::to_string(position).unwrap_or_default();
        // HMAC takes keys of any length, so there always is one.
        let seal = self.mac(organization, listing, text.as_bytes()).map(|mac| mac.finalize().into_bytes());
        let mut bytes: Vec<u8> = seal.into_iter().flatten().take(SEAL_BYTES).collect();
        bytes.extend_from_slice(text.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a position in any listing back.
    ///
    /// # Errors
    /// [`InvalidCursor`] for anything that [`CursorKey::seal_position`] did not write for this organization and listing.
    pub fn open_position<T: DeserializeOwned>(
        &self,
        organization: &OrganizationId,
        listing: &str,
        cursor: &str,
    ) -> Result<T, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| InvalidCursor)?;
        let (seal, text) = bytes.split_at_checked(SEAL_BYTES).ok_or(InvalidCursor)?;
        let mac = self.mac(organization, listing, text).ok_or(InvalidCursor)?;
        mac.verify_truncated_left(seal).map_err(|_| InvalidCursor)?;
        serde_json::from_slice(text).map_err(|_| InvalidCursor)
    }

    fn mac(&self, organization: &OrganizationId, listing: &str, text: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).ok()?;
        mac.update(b"cursor\0");
        mac.update(listing.as_bytes());
        mac.update(b"\0");
        mac.update(organization.as_str().as_bytes());
        mac.update(b"\0");
        mac.update(text);
        Some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organization(name: &str) -> OrganizationId {
        OrganizationId::parse(name).unwrap()
    }

    fn position(sku: &str, location: &str) -> ListPosition {
        ListPosition { sku: Sku::parse(sku).unwrap(), location: LocationId::parse(location).unwrap() }
    }

    fn key() -> CursorKey {
        CursorKey::new(*b"0123456789abcdef")
    }

    #[test]
    fn cursor_reads_back_whatever_the_names_hold() {
        let longest = "x".repeat(128);
        for (sku, location) in [("SKU-1", "main"), ("a/b#c", "🦀 \"'\\"), ("[\"", "\"]"), (&longest, &longest)] {
            let sealed = key().seal(&organization("us"), &position(sku, location));
            assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{sealed}");
            assert_eq!(key().open(&organization("us"), &sealed), Ok(position(sku, location)));
        }
    }

    #[test]
    fn changing_or_cutting_any_character_breaks_the_seal() {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.";
        // Three lengths, so that the last character carries two, four and six bits.
        for sku in ["SKU", "SKU-", "SKU-1"] {
            let sealed = key().seal(&organization("us"), &position(sku, "main"));
            for place in 0..sealed.len() {
                for other in ALPHABET.iter().filter(|other| sealed.as_bytes()[place] != **other) {
                    let mut bytes = sealed.clone().into_bytes();
                    bytes[place] = *other;
                    let tampered = String::from_utf8(bytes).unwrap();
                    assert_eq!(key().open(&organization("us"), &tampered), Err(InvalidCursor), "{tampered}");
                }
                assert_eq!(key().open(&organization("us"), &sealed[..place]), Err(InvalidCursor));
            }
            assert_eq!(key().open(&organization("us"), &format!("{sealed}A")), Err(InvalidCursor));
        }
    }

    #[test]
    fn cursor_is_bound_to_its_organization_and_deployment() {
        let sealed = key().seal(&organization("us"), &position("SKU-1", "main"));
        assert_eq!(key().open(&organization("them"), &sealed), Err(InvalidCursor));
        assert_eq!(CursorKey::new(*b"another deployme").open(&organization("us"), &sealed), Err(InvalidCursor));
    }

    #[test]
    fn cursor_is_bound_to_its_listing() {
        let us = organization("us");
        let sealed = key().seal_position(&us, "history", &("SKU-1", "main"));
        assert_eq!(key().open(&us, &sealed), Err(InvalidCursor));
        let read: Result<(String, String), _> = key().open_position(&us, "history", &sealed);
        assert_eq!(read, Ok(("SKU-1".to_owned(), "main".to_owned())));
        assert_eq!(key().open_position::<(String, u64)>(&us, "history", &sealed), Err(InvalidCursor), "another shape");
    }

    #[test]
    fn text_that_was_never_a_cursor_is_refused() {
        for text in ["", "A", "AAAA", "SKU-1", "%%%", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "🦀"] {
            assert_eq!(key().open(&organization("us"), text), Err(InvalidCursor), "{text}");
        }
    }

    #[test]
    fn key_does_not_show_in_debug() {
        assert_eq!(format!("{:?}", key()), "CursorKey([redacted])");
    }
}
