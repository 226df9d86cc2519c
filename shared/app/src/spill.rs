//! Moving the oldest entries of a level into a journal page.

use evenstock_domain::{LevelKey, StockLevel};

use crate::{StockStore, StoreError};

/// Stores the oldest sixteen entries as a page, then drops them from the level, unless somebody else does so.
///
/// A crash in between leaves a page that repeats what the level still holds, which readers recognize.
pub(crate) async fn spill<S: StockStore>(store: &S, key: &LevelKey, seen: &StockLevel) -> Result<(), StoreError> {
    let Some(page) = seen.full_page() else {
        return Ok(());
    };
    store.put_page(key, &page).await?;
    store.drop_page(key, seen).await.map(|_| ())
}
