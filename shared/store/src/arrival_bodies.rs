//! The bodies of what arrived at once, packed together: alike as they are, ten need little more room than two.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

/// The longest pack, in bytes: far below what an item may hold, and rarely needed.
const PACKED_BYTES_MAX: usize = 64 * 1024;

/// The longest content of a pack, in bytes: more than a batch of the longest bodies.
const CONTENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Packs bodies: each behind its length, all of them deflated. `None` when they are too long to be kept.
pub(crate) fn pack(bodies: &[&str]) -> Option<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    for body in bodies {
        encoder.write_all(&u32::try_from(body.len()).ok()?.to_be_bytes()).ok()?;
        encoder.write_all(body.as_bytes()).ok()?;
    }
    encoder.finish().ok().filter(|packed| packed.len() <= PACKED_BYTES_MAX)
}

/// Reads a pack; `None` for what is none.
pub(crate) fn unpack(packed: &[u8]) -> Option<Vec<String>> {
    let mut content = Vec::new();
    DeflateDecoder::new(packed).take(CONTENT_BYTES_MAX).read_to_end(&mut content).ok()?;
    let (mut bodies, mut rest) = (Vec::new(), content.as_slice());
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (body, behind) = behind.split_at_checked(length)?;
        bodies.push(String::from_utf8(body.to_vec()).ok()?);
        rest = behind;
    }
    rest.is_empty().then_some(bodies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_read_back() {
        for bodies in [&[][..], &[""], &["{}", "", "{\"a\":\"🦀\n\"}"]] {
            assert_eq!(unpack(&pack(bodies).unwrap()).unwrap(), bodies);
        }
    }

    #[test]
    fn ten_alike_need_less_than_a_kilobyte() {
        let body = |n: u32| {
            let (a, b) = (n.wrapping_mul(2_654_435_761), n.wrapping_mul(40_503));
            format!(
                "{{\"eventId\":\"evt_{a:016x}{b:016x}\",\"event\":\"stock.changed\",\"timestamp\":\"2026-11-20T08:00:0{n}.000Z\",\
                 \"organizationId\":\"0193a0c0-0000-7000-8000-000000000001\",\"data\":{{\"seq\":{a},\"type\":\"stock_decreased\",\
                 \"productId\":\"TSHIRT-ORGANIC-BLUE-XL-{n}\",\"storeId\":\"warehouse-berlin-01\",\"delta\":-1,\"newQuantity\":{n},\
                 \"newReserved\":0,\"newVersion\":{n},\"source\":\"api\",\"eventId\":\"{b:016x}\",\"ts\":\"2026-11-20T08:00:0{n}.000Z\"}}}}"
            )
        };
        let bodies: Vec<_> = (0..10).map(body).collect();
        let packed = pack(&bodies.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        assert!(packed.len() < 1024, "{} bytes of {}", packed.len(), bodies.concat().len());
    }

    #[test]
    fn bodies_that_do_not_fit_are_not_kept() {
        let mut state = 1_u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            format!("{state:08x}")
        };
        let noise: String = (0..20_000).map(|_| next()).collect();
        assert!(pack(&[&noise]).is_none());
    }

    #[test]
    fn other_bytes_are_no_pack() {
        for bytes in [&b"\xff\xff\xff"[..], &pack(&["long enough"]).unwrap()[..6]] {
            assert_eq!(unpack(bytes), None);
        }
    }
}
