//! The conflict: what a warehouse and we said of a level, and how it was settled. And its port.

use core::future::Future;

use evenstock_domain::{
    ActorCode, ConflictPolicy, Contradiction, EventBody, EventIdKey, LevelKey, Means, OrganizationId, Quantity, Source,
    StockEvent, StockLevel, Timestamp,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::count::{WarehouseCount, warehouse_source};
use crate::{Announcement, EventType, StoreError};

/// Bytes of the hash in a conflict's id.
const HASH_BYTES: usize = 10;

/// What we knew of the level when the warehouse contradicted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CentralSide {
    /// Units on hand.
    pub quantity: i64,
    /// The level's version.
    pub version: u64,
    /// When the level last changed.
    pub time: Timestamp,
}

impl CentralSide {
    /// Our side of a level.
    pub const fn of(level: &StockLevel) -> Self {
        Self { quantity: level.on_hand(), version: level.version, time: level.updated_at }
    }
}

/// Whose number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictChoice {
    /// The warehouse's, as of its time: what happened later is applied to it.
    Warehouse,
    /// Ours.
    Central,
    /// Neither: so many units lie on hand as of the resolution.
    Quantity(Quantity),
}

impl ConflictChoice {
    /// Its name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warehouse => "warehouse",
            Self::Central => "central",
            Self::Quantity(_) => "quantity",
        }
    }
}

/// How a conflict was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictResolution {
    /// Whose number counts.
    pub choice: ConflictChoice,
    /// As of when.
    pub at: Timestamp,
    /// The id of the key that decided; `None` when the warehouse's policy did.
    pub by: Option<String>,
    /// That key's code in journals.
    pub actor: ActorCode,
}

/// A warehouse and we disagree about a level. One item each, under an id that is a function of the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Its name within the organization: sorts by the change's time.
    pub id: String,
    /// Whose it is.
    pub organization: OrganizationId,
    /// The warehouse's side.
    pub count: WarehouseCount,
    /// Ours.
    pub central: CentralSide,
    /// In what they differ.
    pub contradiction: Contradiction,
    /// The policy at that time.
    pub policy: ConflictPolicy,
    /// When it was found.
    pub found_at: Timestamp,
    /// How it was settled; `None` while it is open.
    pub resolution: Option<ConflictResolution>,
}

impl Conflict {
    /// The conflict that a change makes under a policy.
    pub(super) fn new(
        organization: &OrganizationId,
        count: &WarehouseCount,
        level: &StockLevel,
        contradiction: Contradiction,
        policy: ConflictPolicy,
        now: Timestamp,
    ) -> Self {
        let choice = match policy {
            ConflictPolicy::WarehouseWins => Some(ConflictChoice::Warehouse),
            ConflictPolicy::CentralWins => Some(ConflictChoice::Central),
            ConflictPolicy::Manual => None,
        };
        let resolution =
            choice.map(|choice| ConflictResolution { choice, at: now, by: None, actor: ActorCode::default() });
        let (organization, count) = (organization.clone(), count.clone());
        let (id, central) = (id_of(&count), CentralSide::of(level));
        Self { id, organization, count, central, contradiction, policy, found_at: now, resolution }
    }

    /// The level that it is about.
    pub fn key(&self) -> LevelKey {
        let (sku, location) = (self.count.sku.clone(), self.count.warehouse.clone());
        LevelKey { organization: self.organization.clone(), sku, location }
    }

    /// The events that settle the level, the same ones each time; none while it is open.
    pub fn settlements(&self, ids: &EventIdKey) -> Vec<StockEvent> {
        let Some(resolution) = &self.resolution else {
            return Vec::new();
        };
        let mut events = Vec::new();
        // What a central system holds is no count of ours: whoever pushes to it follows its conflicts.
        if !self.contradiction.is_central() {
            let stands = resolution.choice == ConflictChoice::Warehouse;
            let remembered = self.count.event(ids, &warehouse_source(), self.count.contested(stands));
            events.push(StockEvent { actor: resolution.actor, ..remembered });
        }
        if let ConflictChoice::Quantity(quantity) = resolution.choice {
            events.push(StockEvent {
                id: ids.event_id(&format!("conflict/{}", self.id)),
                time: resolution.at,
                source: Source::api(),
                actor: resolution.actor,
                body: EventBody::Count { quantity, means: Means::OnHand, sequence: 0 },
            });
        }
        events
    }

    /// Its content, as lists and announcements show it.
    pub fn to_data(&self) -> Value {
        let Self { count, central, .. } = self;
        let resolution = self.resolution.as_ref().map(|resolution| {
            let mut shown = json!({
                "resolution": resolution.choice.as_str(),
                "by": resolution.by.as_deref().unwrap_or("policy"),
                "at": resolution.at.to_string(),
            });
            if let (ConflictChoice::Quantity(quantity), Some(fields)) = (resolution.choice, shown.as_object_mut()) {
                fields.insert("quantity".to_owned(), json!(quantity.get()));
            }
            shown
        });
        json!({
            "id": self.id,
            "sku": count.sku.as_str(),
            "warehouseId": count.warehouse.as_str(),
            "status": self.status(),
            "reason": self.contradiction.as_str(),
            "policy": self.policy.as_str(),
            "warehouse": {
                "quantity": count.quantity.get(),
                "before": count.before,
                "version": count.position,
                "time": count.time.to_string(),
            },
            "central": {
                "quantity": central.quantity,
                "version": central.version,
                "time": central.time.to_string(),
            },
            "foundAt": self.found_at.to_string(),
            "resolved": resolution,
        })
    }

    /// `open` or `resolved`.
    pub const fn status(&self) -> &'static str {
        if self.resolution.is_none() { "open" } else { "resolved" }
    }

    /// What subscribers are told when it is found.
    pub fn announcement(&self) -> Announcement {
        Announcement {
            event_id: format!("conflict-{}", self.id),
            event: EventType::SyncConflict,
            time: self.found_at,
            organization: self.organization.clone(),
            store: None,
            data: self.to_data(),
        }
    }
}

/// Names a conflict by its change. A warehouse belongs to one organization, so that need not be in it.
fn id_of(count: &WarehouseCount) -> String {
    let mut hash = Sha256::new();
    for part in [count.warehouse.as_str(), count.sku.as_str(), &count.name()] {
        // Names hold no control characters, so no two conflicts hash the same bytes.
        hash.update(part);
        hash.update([0]);
    }
    let digest = hash.finalize();
    format!("{:014}-{}", count.time.as_millis(), hex::encode(digest.get(..HASH_BYTES).unwrap_or_default()))
}

/// A page of conflicts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConflictPage {
    /// Oldest change first.
    pub conflicts: Vec<Conflict>,
    /// The id behind which the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// Conflicts, one item each.
pub trait ConflictStore: Send + Sync {
    /// Keeps a conflict, unless it is there already.
    fn record_conflict(&self, conflict: &Conflict) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads a conflict as the last completed write left it.
    fn load_conflict(
        &self,
        organization: &OrganizationId,
        id: &str,
    ) -> impl Future<Output = Result<Option<Conflict>, StoreError>> + Send;

    /// Writes the resolution of `conflict` if it is still open. `false` when somebody else was faster.
    fn settle_conflict(&self, conflict: &Conflict) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Lists an organization's conflicts behind `after`: about `limit` of them, or fewer, with `next` telling whether
    /// there are more. `open`: only those that are, or are not; `None` for all. Sees every completed write.
    fn conflicts(
        &self,
        organization: &OrganizationId,
        open: Option<bool>,
        after: Option<&str>,
        limit: u32,
    ) -> impl Future<Output = Result<ConflictPage, StoreError>> + Send;
}
