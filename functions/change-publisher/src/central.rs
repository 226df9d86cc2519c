//! Which levels the central system is to be told of. A message only names them, so one too many, or one again, is harmless.

use std::collections::BTreeSet;

use evenstock_app::{Queue, QueueError, QueueName, push_jobs};
use evenstock_domain::{Change, LevelKey, OrganizationId};

use crate::happening::Happening;

/// The levels of `organization` that a record tells of: those that changed, and those whose conflict with the central
/// system was decided.
pub(crate) fn levels(organization: Option<&OrganizationId>, happening: &Happening) -> Vec<LevelKey> {
    let Some(organization) = organization else {
        return Vec::new();
    };
    match happening {
        Happening::Changed { organization: whose, changes, .. } if whose == organization => {
            // All changes of a record are of one level.
            let level_of = |change: &Change| LevelKey {
                organization: organization.clone(),
                sku: change.sku.clone(),
                location: change.location.clone(),
            };
            changes.first().map(|first| level_of(&first.change)).into_iter().collect()
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
