//! The items of a change feed. A page of a hundred ordinary changes is about 7 KB.

use evenstock_app::StoreError;
use evenstock_domain::{
    ChangePage, FEED_PAGE_GRACE_MS, FeedMarker, OrganizationId, Timestamp, decode_change, encode_change,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::errors::corrupt;
use crate::keys;
use crate::level_item::item_name;
use crate::table::Attributes;

/// The layout of this version of the code.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChangePageItem {
    pk: String,
    sk: String,
    /// Layout.
    v: u32,
    /// Changes.
    c: Vec<ByteBuf>,
    /// Appended at, milliseconds.
    at: i64,
    /// Readers ignore it from then on, milliseconds.
    ex: i64,
    /// When it may be deleted, seconds.
    x: i64,
}

impl ChangePageItem {
    pub(crate) fn new(organization: &OrganizationId, page: &ChangePage) -> Self {
        Self {
            pk: keys::feed(organization),
            sk: keys::change_page(page.first_seq),
            v: SCHEMA,
            c: page.changes.iter().map(|change| ByteBuf::from(encode_change(change))).collect(),
            at: page.appended_at.as_millis(),
            ex: page.expires.as_millis(),
            x: page.expires.plus_millis(FEED_PAGE_GRACE_MS).as_millis() / 1000 + 1,
        }
    }
}

pub(crate) fn read_page(attributes: Attributes) -> Result<ChangePage, StoreError> {
    let name = item_name(&attributes);
    let wrong = |what: &'static str| corrupt(name.clone(), what);
    let item: ChangePageItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    if item.v != SCHEMA {
        return Err(corrupt(name, format_args!("layout {} is not known", item.v)));
    }
    let first_seq = keys::parse_change_page(&item.sk).ok_or_else(|| wrong("not a page's key"))?;
    let changes: Vec<_> =
        item.c.iter().map(|bytes| decode_change(bytes)).collect::<Result<_, _>>().map_err(|_| wrong("a change"))?;
    if changes.is_empty() || first_seq == 0 {
        return Err(wrong("a page holds at least one change, and numbers begin at 1"));
    }
    let time = |millis| Timestamp::from_millis(millis).map_err(|_| wrong("a time"));
    Ok(ChangePage { first_seq, changes, appended_at: time(item.at)?, expires: time(item.ex)? })
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FeedMarkerItem {
    pk: String,
    sk: String,
    /// Start.
    st: u64,
    /// Ceiling.
    ce: u64,
    /// Set at, milliseconds.
    at: i64,
}

impl FeedMarkerItem {
    pub(crate) fn new(organization: &OrganizationId, marker: &FeedMarker) -> Self {
        Self {
            pk: keys::feed(organization),
            sk: keys::FEED_MARKER.to_owned(),
            st: marker.start,
            ce: marker.ceiling,
            at: marker.set_at.as_millis(),
        }
    }
}

pub(crate) fn read_marker(attributes: Attributes) -> Result<FeedMarker, StoreError> {
    let name = item_name(&attributes);
    let item: FeedMarkerItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    let set_at = Timestamp::from_millis(item.at).map_err(|error| corrupt(name, error))?;
    Ok(FeedMarker { start: item.st, ceiling: item.ce, set_at })
}
