//! What the table's stream tells of stores, receipts and oversold levels.

use evenstock_app::{MarketplaceStore, OversoldSale, StoreError, oversold_sales};
use evenstock_domain::Receipt;
use serde::de::DeserializeOwned;

use crate::errors::corrupt;
use crate::keys;
use crate::level_item::LevelItem;
use crate::receipt_item::ReceiptItem;
use crate::store_item::StoreItem;

type Image<'a> = Option<&'a serde_dynamo::Item>;

/// The receipt of an image; `None` when the image is of another kind of item, or there is none.
///
/// # Errors
/// [`StoreError::Corrupt`] when the image cannot be read.
pub fn receipt_change(image: Image<'_>) -> Result<Option<Receipt>, StoreError> {
    let item: Option<ReceiptItem> = read(image, |pk, sk| keys::parse_receipt(pk, sk).is_some())?;
    Ok(item.map(ReceiptItem::into_stored).transpose()?.map(|stored| stored.receipt))
}

/// The store of an image; `None` when the image is of another kind of item, or there is none.
///
/// # Errors
/// [`StoreError::Corrupt`] when the image cannot be read.
pub fn store_change(image: Image<'_>) -> Result<Option<MarketplaceStore>, StoreError> {
    let item: Option<StoreItem> = read(image, |pk, sk| keys::parse_store(pk, sk).is_some())?;
    Ok(item.map(StoreItem::into_stored).transpose()?.map(|stored| stored.store))
}

/// The sales of stores that left a level below zero, among what the level gained; none for other items.
///
/// # Errors
/// [`StoreError::Corrupt`] when an image cannot be read.
pub fn oversold_change(old: Image<'_>, new: Image<'_>) -> Result<Vec<OversoldSale>, StoreError> {
    let is_level = |pk: &str, sk: &str| keys::parse_level(pk, sk).is_some();
    let Some(level) = read::<LevelItem>(new, is_level)? else {
        return Ok(Vec::new());
    };
    let before = read::<LevelItem>(old, is_level)?.map_or(0, |old| old.version());
    if level.version() <= before {
        return Ok(Vec::new());
    }
    let key = level.key()?;
    Ok(oversold_sales(&key, &level.into_stored()?.level, before))
}

fn read<T: DeserializeOwned>(image: Image<'_>, is: impl Fn(&str, &str) -> bool) -> Result<Option<T>, StoreError> {
    let text = |name: &str| match image?.get(name) {
        Some(serde_dynamo::AttributeValue::S(text)) => Some(text.as_str()),
        _ => None,
    };
    let Some((image, (pk, sk))) = image.zip(text("pk").zip(text("sk"))) else {
        return Ok(None);
    };
    if !is(pk, sk) {
        return Ok(None);
    }
    let name = format!("stream image of {pk} {sk}");
    serde_dynamo::from_item(image.clone()).map(Some).map_err(|error| corrupt(name, error))
}
