//! A change as the change feed tells it: one journal entry with everything that follows from its place.
//!
//! Owns the change and its binary form, about 60 bytes, so that a page of a hundred is cheap to write.

use crate::codec::{get, get_signed, put, put_signed, take};
use crate::{ChangeType, CorruptEntry, EventId, LocationId, Past, Sku, Source, StockLevel, Timestamp};

/// The greatest number of bytes that [`encode_change`] writes: three names of 128 bytes, and numbers.
pub const CHANGE_BYTES_MAX: usize = 3 * 130 + 8 + 1 + 5 * 10;

/// One change of one level. Its level and version identify it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The product.
    pub sku: Sku,
    /// The place.
    pub location: LocationId,
    /// The level's version after it.
    pub version: u64,
    /// What it comes to.
    pub kind: ChangeType,
    /// Net change of available units.
    pub delta: i64,
    /// Available units after it; below 0 when facts oversold the level.
    pub quantity: i64,
    /// Reserved units after it.
    pub reserved: i64,
    /// Who stated or caused it.
    pub source: Source,
    /// The event that was applied.
    pub event_id: EventId,
    /// When it was applied.
    pub at: Timestamp,
}

/// The changes of a level with versions above `before`, oldest first, as far back as `recent` and `past` reach.
pub fn changes_since(
    (sku, location): (&Sku, &LocationId),
    before: u64,
    level: &StockLevel,
    past: &Past,
) -> Vec<Change> {
    let mut reserved = level.reserved;
    let newest_first = level.journal(past).take_while(|placed| placed.version > before);
    let mut changes: Vec<_> = newest_first
        .map(|placed| {
            let entry = &placed.entry;
            let change = Change {
                sku: sku.clone(),
                location: location.clone(),
                version: placed.version,
                kind: entry.change_type(),
                delta: entry.available,
                quantity: placed.available_after,
                reserved,
                // The list of sources only grows, so the level's names those of every page.
                source: level.sources.get(usize::from(entry.source)).cloned().unwrap_or_else(Source::api),
                event_id: entry.id,
                at: entry.committed_at,
            };
            reserved = reserved.saturating_sub(entry.reserved);
            change
        })
        .collect();
    changes.reverse();
    changes
}

/// Writes a change.
pub fn encode_change(change: &Change) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(96);
    bytes.extend_from_slice(&change.event_id.0);
    bytes.push(code_of(change.kind));
    for name in [change.sku.as_str(), change.location.as_str(), change.source.as_str()] {
        put(&mut bytes, name.len() as u64);
        bytes.extend_from_slice(name.as_bytes());
    }
    put(&mut bytes, change.version);
    for number in [change.delta, change.quantity, change.reserved, change.at.as_millis()] {
        put_signed(&mut bytes, number);
    }
    bytes
}

/// Reads a change.
///
/// # Errors
/// [`CorruptEntry`] for bytes that [`encode_change`] cannot have written.
pub fn decode_change(bytes: &[u8]) -> Result<Change, CorruptEntry> {
    let mut rest = bytes;
    let event_id = EventId(take(&mut rest)?);
    let [code] = take::<1>(&mut rest)?;
    let kind = kind_of(code).ok_or(CorruptEntry)?;
    let sku = Sku::parse(get_name(&mut rest)?).map_err(|_| CorruptEntry)?;
    let location = LocationId::parse(get_name(&mut rest)?).map_err(|_| CorruptEntry)?;
    let source = Source::parse(get_name(&mut rest)?).map_err(|_| CorruptEntry)?;
    let version = get(&mut rest)?;
    let [delta, quantity, reserved] = [get_signed(&mut rest)?, get_signed(&mut rest)?, get_signed(&mut rest)?];
    let at = Timestamp::from_millis(get_signed(&mut rest)?).map_err(|_| CorruptEntry)?;
    if !rest.is_empty() {
        return Err(CorruptEntry);
    }
    Ok(Change { sku, location, version, kind, delta, quantity, reserved, source, event_id, at })
}

const KINDS: [ChangeType; 6] = [
    ChangeType::StockIncreased,
    ChangeType::StockDecreased,
    ChangeType::StockSet,
    ChangeType::StockReserved,
    ChangeType::StockReleased,
    ChangeType::StockFulfilled,
];

/// Codes begin at 1 and are never given anew: pages outlive the code that wrote them.
const fn code_of(kind: ChangeType) -> u8 {
    match kind {
        ChangeType::StockIncreased => 1,
        ChangeType::StockDecreased => 2,
        ChangeType::StockSet => 3,
        ChangeType::StockReserved => 4,
        ChangeType::StockReleased => 5,
        ChangeType::StockFulfilled => 6,
    }
}

fn kind_of(code: u8) -> Option<ChangeType> {
    KINDS.into_iter().find(|kind| code_of(*kind) == code)
}

fn get_name<'a>(rest: &mut &'a [u8]) -> Result<&'a str, CorruptEntry> {
    let length = usize::try_from(get(rest)?).map_err(|_| CorruptEntry)?;
    let (name, left) = rest.split_at_checked(length).ok_or(CorruptEntry)?;
    *rest = left;
    core::str::from_utf8(name).map_err(|_| CorruptEntry)
}
