//! The name of a delivery: which event, to which endpoint.
//!
//! A function of the two, so that the same event announced twice is the same delivery. It begins with the endpoint and
//! the event's time, which is where the delivery is stored.

use core::fmt;

use sha2::{Digest, Sha256};

use crate::{EndpointId, Timestamp};

/// Bytes of the hash that names keep.
const DIGEST_BYTES: usize = 16;

/// A delivery's name: `ENDPOINT.TIME.HASH`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    /// To whom.
    pub endpoint: EndpointId,
    /// When the event happened.
    pub time: Timestamp,
    /// The first 16 bytes of the hash of event and endpoint, lower-case hexadecimal.
    digest: String,
}

/// A text that names no delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not the id of a delivery")]
pub struct InvalidDeliveryId;

impl DeliveryId {
    /// Names the delivery of an event to an endpoint.
    pub fn new(endpoint: &EndpointId, event_id: &str, time: Timestamp) -> Self {
        let mut hash = Sha256::new();
        // Names hold no control characters: the two cannot run into each other.
        hash.update(endpoint.as_str().as_bytes());
        hash.update([0]);
        hash.update(event_id.as_bytes());
        let digest = hash.finalize().iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Self { endpoint: endpoint.clone(), time, digest }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`InvalidDeliveryId`] for a text that was never one.
    pub fn parse(text: &str) -> Result<Self, InvalidDeliveryId> {
        let mut parts = text.rsplitn(3, '.');
        let mut read = || {
            let digest = parts.next()?;
            let time = parts.next().filter(|time| time.bytes().all(|byte| byte.is_ascii_digit()))?;
            let endpoint = EndpointId::parse(parts.next()?).ok()?;
            let hex = digest.len() == 2 * DIGEST_BYTES
                && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            let time = Timestamp::from_millis(time.parse().ok()?).ok()?;
            hex.then(|| Self { endpoint, time, digest: digest.to_owned() })
        };
        read().ok_or(InvalidDeliveryId)
    }

    /// The hash.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// A number below `bound` that follows from the name and `salt`: it spreads deliveries without a random source.
    pub fn spread(&self, salt: u32, bound: u32) -> u32 {
        let digest = Sha256::new().chain_update(self.digest.as_bytes()).chain_update(salt.to_be_bytes()).finalize();
        let number = digest.iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
        number.checked_rem(bound).unwrap_or_default()
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.endpoint, self.time.as_millis(), self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(endpoint: &str, event: &str) -> DeliveryId {
        DeliveryId::new(&EndpointId::parse(endpoint).unwrap(), event, Timestamp::from_millis(1234).unwrap())
    }

    #[test]
    fn same_event_to_the_same_endpoint_is_the_same_delivery() {
        assert_eq!(id("a", "e"), id("a", "e"));
        assert_ne!(id("a", "e"), id("b", "e"));
        assert_ne!(id("a", "e"), id("a", "f"));
        assert_ne!(id("ab", "c").digest(), id("a", "bc").digest());
    }

    #[test]
    fn name_reads_back() {
        for endpoint in ["a", "a.b", "0197-x"] {
            let id = id(endpoint, "e");
            assert_eq!(DeliveryId::parse(&id.to_string()), Ok(id));
        }
        for text in
            ["", "a", "a.1", "a.1.zz", "a.-1.00000000000000000000000000000000", "a.1.0000000000000000000000000000000G"]
        {
            assert_eq!(DeliveryId::parse(text), Err(InvalidDeliveryId), "{text}");
        }
    }

    #[test]
    fn spread_stays_below_its_bound_and_differs_by_salt() {
        let id = id("a", "e");
        let numbers: std::collections::BTreeSet<_> = (0..50).map(|salt| id.spread(salt, 401)).collect();
        assert!(numbers.len() > 30 && numbers.iter().all(|number| *number < 401));
        assert_eq!(id.spread(1, 0), 0);
    }
}
