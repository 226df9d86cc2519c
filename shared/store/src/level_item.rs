//! The level's item. Attribute names are short: a level must stay under a kilobyte, so that a change costs one write
//! unit.

use std::collections::{BTreeMap, BTreeSet};

use evenstock_app::{StoreError, Stored};
use evenstock_domain::{
    Change, Entry, EventId, LevelKey, Past, Policy, Quantity, RECENT_ENTRIES_MAX, Shadow, Source, StockLevel,
    Timestamp, Watermark, changes_since, decode_entry, encode_entry,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::errors::corrupt;
use crate::keys::{self, Key};
use crate::table::Attributes;
use crate::written_in::written_in;

/// The layout of this version of the code.
pub(crate) const SCHEMA: u32 = 1;

/// A level as it stands in the table and in its stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LevelItem {
    pk: String,
    sk: String,
    /// Organization; only levels have it, so only levels are in the index.
    o: String,
    /// Layout.
    v: u32,
    /// Available.
    av: i64,
    /// Reserved.
    rs: i64,
    /// Version.
    vs: u64,
    /// Rev, the optimistic lock.
    rv: u64,
    /// Updated at, milliseconds.
    ua: i64,
    /// Spilled through, milliseconds.
    sp: i64,
    /// Pages spilled.
    pg: u64,
    /// Recent entries.
    re: Vec<ByteBuf>,
    /// Ids of the recent entries.
    #[serde(with = "serde_dynamo::binary_set", default, skip_serializing_if = "Vec::is_empty")]
    ids: Vec<ByteBuf>,
    /// Names of sources.
    so: Vec<String>,
    /// The newest authority observation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ob: Option<ObservedItem>,
    /// What a warehouse said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ct: Option<ShadowItem>,
    /// What merged sources said last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sh: BTreeMap<String, ShadowItem>,
    /// Backorders allowed.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    bo: bool,
    /// Low stock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ls: Option<i64>,
    /// Safety stock.
    #[serde(default, skip_serializing_if = "is_zero")]
    ss: i64,
    /// Headroom: available above the policy's floor. A condition cannot calculate, so each write keeps it. Never read.
    #[serde(default)]
    hr: i64,
    /// The trace of the write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tc: Option<ByteBuf>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ObservedItem {
    t: i64,
    n: u64,
    s: String,
    i: ByteBuf,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ShadowItem {
    q: i64,
    t: i64,
    n: u64,
    i: ByteBuf,
}

impl LevelItem {
    pub(crate) fn new(key: &LevelKey, rev: u64, level: &StockLevel) -> Self {
        let Key { pk, sk } = keys::level(key);
        let observed = level.observed.as_ref();
        Self {
            pk,
            sk,
            o: key.organization.to_string(),
            v: SCHEMA,
            av: level.available,
            rs: level.reserved,
            vs: level.version,
            rv: rev,
            ua: level.updated_at.as_millis(),
            sp: level.spilled_through.as_millis(),
            pg: level.pages_spilled(),
            re: level.recent.iter().map(|entry| ByteBuf::from(encode_entry(entry))).collect(),
            ids: level.recent.iter().map(|entry| id_bytes(entry.id)).collect(),
            so: level.sources.iter().map(ToString::to_string).collect(),
            ob: observed.map(|mark| ObservedItem {
                t: mark.time.as_millis(),
                n: mark.sequence,
                s: mark.source.to_string(),
                i: id_bytes(mark.id),
            }),
            ct: level.counted.as_ref().map(shadow_item),
            sh: level.shadows.iter().map(|(source, shadow)| (source.to_string(), shadow_item(shadow))).collect(),
            bo: level.policy.allow_backorder,
            ls: level.policy.low_stock.map(Quantity::get),
            ss: level.policy.safety_stock.get(),
            hr: level.headroom(),
            tc: written_in(),
        }
    }

    pub(crate) fn read(attributes: Attributes) -> Result<Self, StoreError> {
        let name = item_name(&attributes);
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name, error))
    }

    /// Which level it is.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the item's key is not a level's.
    pub fn key(&self) -> Result<LevelKey, StoreError> {
        keys::parse_level(&self.pk, &self.sk).ok_or_else(|| corrupt(self.name(), "not a level's key"))
    }

    /// The level's version.
    pub const fn version(&self) -> u64 {
        self.vs
    }

    /// The level, checked as far as an item can be.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] naming what is wrong.
    pub fn into_stored(self) -> Result<Stored, StoreError> {
        let name = self.name();
        if self.v != SCHEMA {
            return Err(corrupt(name, format_args!("layout {} is not known", self.v)));
        }
        let wrong = |what: &'static str| corrupt(name.clone(), what);
        let recent = read_entries(&self.re, self.so.len()).map_err(wrong)?;
        let ids: BTreeSet<_> = recent.iter().map(|entry| entry.id.0.to_vec()).collect();
        let stored_ids: BTreeSet<_> = self.ids.iter().map(|id| id.to_vec()).collect();
        if ids != stored_ids || ids.len() != recent.len() {
            return Err(wrong("the set of ids is not that of the entries"));
        }
        if recent.len() > RECENT_ENTRIES_MAX || (recent.len() as u64) > self.vs {
            return Err(wrong("more entries than versions or than fit"));
        }
        let pages = self.pg;
        let level = StockLevel {
            available: self.av,
            reserved: self.rs,
            version: self.vs,
            updated_at: time(self.ua).map_err(wrong)?,
            observed: self.ob.map(|mark| mark.into_watermark()).transpose().map_err(wrong)?,
            counted: self.ct.map(read_shadow).transpose().map_err(wrong)?,
            shadows: read_shadows(self.sh).map_err(wrong)?,
            recent,
            spilled_through: time(self.sp).map_err(wrong)?,
            sources: read_sources(&self.so).map_err(wrong)?,
            policy: read_policy(self.bo, self.ls, self.ss).map_err(wrong)?,
        };
        if level.pages_spilled() != pages {
            return Err(corrupt(name, "the number of pages does not follow from the versions"));
        }
        Ok(Stored { rev: self.rv, level })
    }

    fn name(&self) -> String {
        format!("{} {}", self.pk, self.sk)
    }
}

impl ObservedItem {
    fn into_watermark(self) -> Result<Watermark, &'static str> {
        let source = Source::parse(&self.s).map_err(|_| "a source's name")?;
        Ok(Watermark { time: time(self.t)?, sequence: self.n, source, id: read_id(&self.i)? })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_zero(units: &i64) -> bool {
    *units == 0
}

fn read_policy(allow_backorder: bool, low_stock: Option<i64>, safety_stock: i64) -> Result<Policy, &'static str> {
    let quantity = |units| Quantity::new(units).map_err(|_| "a policy's quantity");
    let low_stock = low_stock.map(quantity).transpose()?;
    Ok(Policy { allow_backorder, low_stock, safety_stock: quantity(safety_stock)? })
}

fn shadow_item(shadow: &Shadow) -> ShadowItem {
    ShadowItem { q: shadow.quantity, t: shadow.time.as_millis(), n: shadow.sequence, i: id_bytes(shadow.id) }
}

fn read_shadows(items: BTreeMap<String, ShadowItem>) -> Result<BTreeMap<Source, Shadow>, &'static str> {
    let read = |(source, item): (String, ShadowItem)| {
        let source = Source::parse(&source).map_err(|_| "a source's name")?;
        Ok((source, read_shadow(item)?))
    };
    items.into_iter().map(read).collect()
}

fn read_shadow(item: ShadowItem) -> Result<Shadow, &'static str> {
    Ok(Shadow { quantity: item.q, time: time(item.t)?, sequence: item.n, id: read_id(&item.i)? })
}

/// Entries as the level and its pages hold them, each pointing to one of `sources` names.
pub(crate) fn read_entries(entries: &[ByteBuf], sources: usize) -> Result<Vec<Entry>, &'static str> {
    let read = |bytes: &ByteBuf| {
        let entry = decode_entry(bytes).map_err(|_| "a journal entry")?;
        if usize::from(entry.source) < sources { Ok(entry) } else { Err("an entry points to no source") }
    };
    entries.iter().map(read).collect()
}

pub(crate) fn read_sources(names: &[String]) -> Result<Vec<Source>, &'static str> {
    names.iter().map(|name| Source::parse(name).map_err(|_| "a source's name")).collect()
}

pub(crate) fn id_bytes(id: EventId) -> ByteBuf {
    ByteBuf::from(id.0.to_vec())
}

fn read_id(bytes: &ByteBuf) -> Result<EventId, &'static str> {
    bytes.as_slice().try_into().map(EventId).map_err(|_| "an event id")
}

fn time(millis: i64) -> Result<Timestamp, &'static str> {
    Timestamp::from_millis(millis).map_err(|_| "a time")
}

/// The key of an item that may be anything, for messages.
pub(crate) fn item_name(attributes: &Attributes) -> String {
    let part = |name| attributes.get(name).and_then(|value| value.as_s().ok()).map_or("?", String::as_str);
    format!("{} {}", part("pk"), part("sk"))
}

/// What a stream record tells of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelChanges {
    /// The level.
    pub key: LevelKey,
    /// The versions gained, oldest first.
    pub changes: Vec<Change>,
    /// The level's threshold of low stock.
    pub low_stock: Option<Quantity>,
}

/// The changes that a stream record tells of, oldest first: versions gained from the old image to the new one. `None`
/// when the level was removed.
///
/// # Errors
/// [`StoreError::Corrupt`] when an image is not a level, or the new one does not hold the entries that it gained.
pub fn level_change(
    old: Option<serde_dynamo::Item>,
    new: Option<serde_dynamo::Item>,
) -> Result<Option<LevelChanges>, StoreError> {
    let read = |image: serde_dynamo::Item| {
        serde_dynamo::from_item::<_, LevelItem>(image).map_err(|error| corrupt("stream image", error))
    };
    let Some(new) = new.map(read).transpose()? else {
        return Ok(None);
    };
    let before = old.map(read).transpose()?.map_or(0, |old| old.version());
    let (key, name) = (new.key()?, new.name());
    let level = new.into_stored()?.level;
    let changes = changes_since((&key.sku, &key.location), before, &level, &Past::none());
    if (changes.len() as u64) < level.version.saturating_sub(before) {
        return Err(corrupt(name, "more versions were gained than the item has entries"));
    }
    Ok(Some(LevelChanges { key, changes, low_stock: level.policy.low_stock }))
}
