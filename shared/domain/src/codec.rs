//! The binary form of a journal entry, about 26 bytes, so that a level with twenty of them stays under a kilobyte.
//!
//! Layout: event id (8), kind (1), fingerprint (4), then variable-length integers: event time, commit time relative to
//! it, effect on available, effect on reserved, source, actor, and the stated number where the kind has one.

use crate::{ActorCode, Entry, EntryKind, EventId, Means, Timestamp};

const REQUEST: u8 = 1;
const DELTA: u8 = 2;
const SETTLEMENT: u8 = 3;
const COUNT_AVAILABLE: u8 = 4;
const COUNT_ON_HAND: u8 = 5;
const MERGED: u8 = 6;
const VOID: u8 = 7;

/// Bytes that are not an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a journal entry")]
pub struct CorruptEntry;

/// Writes an entry.
pub fn encode_entry(entry: &Entry) -> Vec<u8> {
    let (kind, stated) = match entry.kind {
        EntryKind::Request => (REQUEST, None),
        EntryKind::Delta => (DELTA, None),
        EntryKind::Settlement => (SETTLEMENT, None),
        EntryKind::Void => (VOID, None),
        EntryKind::Count { means: Means::Available, stated } => (COUNT_AVAILABLE, Some(stated)),
        EntryKind::Count { means: Means::OnHand, stated } => (COUNT_ON_HAND, Some(stated)),
        EntryKind::Merged { stated } => (MERGED, Some(stated)),
    };
    let mut bytes = Vec::with_capacity(32);
    bytes.extend_from_slice(&entry.id.0);
    bytes.push(kind);
    bytes.extend_from_slice(&entry.fingerprint);
    put_signed(&mut bytes, entry.time.as_millis());
    put_signed(&mut bytes, entry.committed_at.millis_since(entry.time));
    put_signed(&mut bytes, entry.available);
    put_signed(&mut bytes, entry.reserved);
    put(&mut bytes, u64::from(entry.source));
    put(&mut bytes, u64::from(entry.actor.0));
    if let Some(stated) = stated {
        put_signed(&mut bytes, stated);
    }
    bytes
}

/// Reads an entry.
///
/// # Errors
/// [`CorruptEntry`] for bytes that [`encode_entry`] cannot have written.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, CorruptEntry> {
    let mut rest = bytes;
    let id = EventId(take(&mut rest)?);
    let [kind] = take::<1>(&mut rest)?;
    let fingerprint = take(&mut rest)?;
    let time = get_signed(&mut rest)?;
    let committed_at = time.checked_add(get_signed(&mut rest)?).ok_or(CorruptEntry)?;
    let available = get_signed(&mut rest)?;
    let reserved = get_signed(&mut rest)?;
    let source = u16::try_from(get(&mut rest)?).map_err(|_| CorruptEntry)?;
    let actor = ActorCode(u32::try_from(get(&mut rest)?).map_err(|_| CorruptEntry)?);
    let kind = match kind {
        REQUEST => EntryKind::Request,
        DELTA => EntryKind::Delta,
        SETTLEMENT => EntryKind::Settlement,
        VOID => EntryKind::Void,
        COUNT_AVAILABLE => EntryKind::Count { means: Means::Available, stated: get_signed(&mut rest)? },
        COUNT_ON_HAND => EntryKind::Count { means: Means::OnHand, stated: get_signed(&mut rest)? },
        MERGED => EntryKind::Merged { stated: get_signed(&mut rest)? },
        _ => return Err(CorruptEntry),
    };
    if !rest.is_empty() {
        return Err(CorruptEntry);
    }
    let time = Timestamp::from_millis(time).map_err(|_| CorruptEntry)?;
    let committed_at = Timestamp::from_millis(committed_at).map_err(|_| CorruptEntry)?;
    Ok(Entry { id, kind, available, reserved, source, actor, time, committed_at, fingerprint })
}

pub(crate) fn put(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

/// Zigzag: small numbers stay short whatever their sign.
pub(crate) fn put_signed(bytes: &mut Vec<u8>, value: i64) {
    put(bytes, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

pub(crate) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], CorruptEntry> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(CorruptEntry)?;
    *rest = tail;
    Ok(*head)
}

pub(crate) fn get(rest: &mut &[u8]) -> Result<u64, CorruptEntry> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let [byte] = take::<1>(rest)?;
        let low = u64::from(byte & 0x7f);
        if shift == 63 && low > 1 {
            return Err(CorruptEntry);
        }
        value |= low << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(CorruptEntry)
}

pub(crate) fn get_signed(rest: &mut &[u8]) -> Result<i64, CorruptEntry> {
    let value = get(rest)?;
    Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}
