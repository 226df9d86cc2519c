//! Marketplace stores: one item each, the claims of their triples, their tokens, and the index of those that are due.

use evenstock_app::{
    DueStore, DueStores, MarketplaceStore, MarketplaceStores, StoreClaim, StoreError, StoreWrite, StoredStore,
};
use evenstock_domain::{StoreId, Timestamp};

use crate::due::read_due;
use crate::errors::store_error;
use crate::keys;
use crate::revision::following;
use crate::store_item::{ClaimItem, StoreItem, TokenItem, read, read_claim, read_token};
use crate::table::{Attributes, DynamoStore};

impl MarketplaceStores for DynamoStore {
    async fn claim_store(&self, claim: &StoreClaim) -> Result<StoreClaim, StoreError> {
        match self.put_over(None, &ClaimItem::new(claim)).await? {
            Ok(()) => Ok(claim.clone()),
            Err(Some(standing)) => read_claim(standing, claim),
            Err(None) => Err(StoreError::Unknown("a claim that stands did not come back".into())),
        }
    }

    async fn load_store(&self, id: &StoreId) -> Result<Option<StoredStore>, StoreError> {
        self.get(&keys::store(id)).await?.map(read).transpose()
    }

    async fn save_store(&self, expected: Option<u64>, store: &MarketplaceStore) -> Result<StoreWrite, StoreError> {
        let item = StoreItem::new(following(expected), store);
        match self.put_over(expected, &item).await? {
            Ok(()) => Ok(StoreWrite::Saved),
            Err(current) => Ok(StoreWrite::Conflict(current.map(read).transpose()?)),
        }
    }

    async fn point_token(&self, hash: &[u8; 32], store: &StoreId) -> Result<(), StoreError> {
        self.put_over(None, &TokenItem::new(hash, store)).await.map(|_| ())
    }

    async fn find_token(&self, hash: &[u8; 32]) -> Result<Option<StoreId>, StoreError> {
        self.get(&keys::sync_token(hash)).await?.map(read_token).transpose()
    }

    async fn due_stores(
        &self,
        bucket: u8,
        now: Timestamp,
        limit: u32,
        after: Option<&DueStore>,
    ) -> Result<DueStores, StoreError> {
        let after = after.map(|after| (after.due_at, keys::store(&after.id)));
        let query = self.query_due(keys::due_stores(bucket), now, limit, after);
        let page = query.send().await.map_err(store_error)?;
        let due = page.items.unwrap_or_default().iter().map(due_store).collect::<Result<_, _>>()?;
        Ok(DueStores { due, more: page.last_evaluated_key.is_some() })
    }
}

fn due_store(row: &Attributes) -> Result<DueStore, StoreError> {
    let (id, due_at) = read_due(row, keys::parse_store)?;
    Ok(DueStore { id, due_at })
}
