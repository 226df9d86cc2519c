//! Pages that were read or put lately, so that looking for a change costs one small query. Pages are immutable, so what
//! is kept here cannot be wrong; it can only be gone from the table.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use evenstock_domain::{ChangePage, OrganizationId};

/// Pages kept over all organizations: at most about 60 MB. When there are more, all are forgotten.
const PAGES_MAX: usize = 2000;

/// Pages of one organization that are kept.
pub(super) const PAGES_EACH: usize = 400;

/// The newest pages of feeds, as this process knows them.
#[derive(Debug, Default)]
pub struct RecentPages(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// By the number behind the page's last change.
    pages: BTreeMap<(OrganizationId, u64), ChangePage>,
}

impl RecentPages {
    /// The page that ends right before `seq`.
    pub(super) fn before(&self, organization: &OrganizationId, seq: u64) -> Option<ChangePage> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pages.get(&(organization.clone(), seq)).cloned()
    }

    pub(super) fn keep(&self, organization: &OrganizationId, page: &ChangePage) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.pages.len() >= PAGES_MAX {
            kept.pages.clear();
        }
        kept.pages.insert((organization.clone(), page.next_seq()), page.clone());
    }

    /// Forgets the organization's pages that end before `seq`.
    pub(super) fn forget_before(&self, organization: &OrganizationId, seq: u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = (organization.clone(), 0)..(organization.clone(), seq);
        let old: Vec<_> = kept.pages.range(old).map(|(place, _)| place.clone()).collect();
        for place in old {
            kept.pages.remove(&place);
        }
    }
}
