//! Which levels the central system is to be told of. A message only names them, so one too many, or one again, is harmless.

use std::collections::BTreeSet;

use evenstock_app::{Queue, QueueError, QueueName, push_jobs};
use evenstock_domain::{LevelKey, OrganizationId};

use crate::happening::Happening;

/// The levels of `organization` that a record tells of: those that changed, and those whose conflict with the central
/// system was decided.
pub(crate) fn levels(organization: Option<&OrganizationId>, happening: &Happening) -> Vec<LevelKey> {
    let Some(organization) = organization else {
        return Vec::new();
    };
    match happening {
        Happening::Changed { organization: whose, changes, .. } if whose == organization => {
            let key = |sku: &evenstock_domain::Sku, location: &evenstock_domain::LocationId| LevelKey {
                organization: organization.clone(),
                sku: sku.clone(),
                location: location.clone(),
            };
            // All changes of a record are of one level.
            changes.first().map(|first| key(&first.change.sku, &first.change.location)).into_iter().collect()
        }
        Happening::Disputed(conflict, _)
            if conflict.organization == *organization
                && conflict.contradiction.is_central()
                && conflict.resolution.is_some() =>
        {
            vec![conflict.key()]
        }
        _ => Vec::new(),
    }
}

/// Names levels to the function that pushes them; nothing when there are none.
pub(crate) async fn send<Q: Queue>(queue: &Q, levels: &BTreeSet<LevelKey>) -> Result<(), QueueError> {
    if levels.is_empty() {
        return Ok(());
    }
    let messages = push_jobs(levels).iter().map(|job| job.outgoing(0)).collect::<Result<_, _>>();
    queue.send(QueueName::StockPushes, messages.map_err(|error| QueueError(Box::new(error)))?).await
}
