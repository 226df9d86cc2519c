//! The items of warehouses and of conflicts.

use evenstock_app::{
    CentralSide, Conflict, ConflictChoice, ConflictResolution, Sealed, StoreError, Warehouse, WarehouseCount,
};
use evenstock_domain::{
    ActorCode, ConflictPolicy, Contradiction, LocationId, OrganizationId, Quantity, Sku, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::errors::corrupt;
use crate::keys::{self, Key};
use crate::level_item::item_name;
use crate::table::Attributes;

/// How long a conflict is kept after it was settled, in seconds: 90 days.
const KEPT_S: i64 = 90 * 24 * 60 * 60;

/// A warehouse as it stands in the table.
#[derive(Debug, Deserialize)]
struct WarehouseItem {
    pk: String,
    /// Organization.
    og: String,
    /// Endpoint.
    ep: String,
    /// Its key, sealed.
    #[serde(default)]
    ky: Option<String>,
    /// Policy.
    po: String,
    /// Claimed at, milliseconds; also the time in the index.
    dt: i64,
    /// Set up at, milliseconds.
    ua: i64,
}

pub(crate) fn read_warehouse(attributes: Attributes) -> Result<Warehouse, StoreError> {
    let name = item_name(&attributes);
    let wrong = |what: &'static str| corrupt(name.clone(), what);
    let item: WarehouseItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    Ok(Warehouse {
        id: keys::parse_warehouse(&item.pk).ok_or_else(|| wrong("not a warehouse's key"))?,
        organization: OrganizationId::parse(&item.og).map_err(|_| wrong("an organization"))?,
        endpoint: item.ep,
        api_key: item.ky.map(Sealed::from_stored),
        policy: ConflictPolicy::parse(&item.po).ok_or_else(|| wrong("a policy"))?,
        claimed_at: Timestamp::from_millis(item.dt).map_err(|_| wrong("a time"))?,
        updated_at: Timestamp::from_millis(item.ua).map_err(|_| wrong("a time"))?,
    })
}

/// A conflict as it stands in the table and in its stream.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ConflictItem {
    pk: String,
    sk: String,
    /// SKU.
    s: String,
    /// Warehouse.
    l: String,
    /// Units that the warehouse states.
    wq: i64,
    /// Units that it says were there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wb: Option<i64>,
    /// When, by its clock, milliseconds.
    wt: i64,
    /// Position in its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wn: Option<u64>,
    /// Units that we knew of.
    cq: i64,
    /// The level's version.
    cv: u64,
    /// When the level last changed, milliseconds.
    ct: i64,
    /// In what they differ.
    cd: String,
    /// Policy.
    po: String,
    /// Found at, milliseconds.
    fa: i64,
    /// Whose number counts; absent while it is open, like the ones below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rc: Option<String>,
    /// How many units count, if neither side's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rq: Option<i64>,
    /// Settled as of, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ra: Option<i64>,
    /// The key that settled it; absent when the policy did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rb: Option<String>,
    /// Code of that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ac: Option<u32>,
    /// When it may be deleted, seconds; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<i64>,
}

impl ConflictItem {
    pub(crate) fn new(conflict: &Conflict) -> Self {
        let Key { pk, sk } = keys::conflict(&conflict.organization, &conflict.id);
        let Conflict { count, central, resolution, .. } = conflict;
        let resolution = resolution.as_ref();
        let units = resolution.and_then(|resolution| match resolution.choice {
            ConflictChoice::Quantity(units) => Some(units.get()),
            ConflictChoice::Warehouse | ConflictChoice::Central => None,
        });
        Self {
            pk,
            sk,
            s: count.sku.to_string(),
            l: count.warehouse.to_string(),
            wq: count.quantity.get(),
            wb: count.before,
            wt: count.time.as_millis(),
            wn: count.position,
            cq: central.quantity,
            cv: central.version,
            ct: central.time.as_millis(),
            cd: conflict.contradiction.as_str().to_owned(),
            po: conflict.policy.as_str().to_owned(),
            fa: conflict.found_at.as_millis(),
            rc: resolution.map(|resolution| resolution.choice.as_str().to_owned()),
            rq: units,
            ra: resolution.map(|resolution| resolution.at.as_millis()),
            rb: resolution.and_then(|resolution| resolution.by.clone()),
            ac: resolution.map(|resolution| resolution.actor.0),
            x: resolution.map(|resolution| resolution.at.as_millis() / 1000 + KEPT_S),
        }
    }

    fn into_conflict(self) -> Result<Conflict, &'static str> {
        let (organization, id) = keys::parse_conflict(&self.pk, &self.sk).ok_or("not a conflict's key")?;
        let time = |millis| Timestamp::from_millis(millis).map_err(|_| "a time");
        let units = |units| Quantity::new(units).map_err(|_| "a quantity");
        let choice = match (self.rc.as_deref(), self.rq) {
            (None, None) => None,
            (Some("warehouse"), None) => Some(ConflictChoice::Warehouse),
            (Some("central"), None) => Some(ConflictChoice::Central),
            (Some("quantity"), Some(stated)) => Some(ConflictChoice::Quantity(units(stated)?)),
            _ => return Err("a resolution"),
        };
        let resolution = match (choice, self.ra) {
            (None, None) => None,
            (Some(choice), Some(at)) => {
                let actor = ActorCode(self.ac.unwrap_or_default());
                Some(ConflictResolution { choice, at: time(at)?, by: self.rb, actor })
            }
            _ => return Err("a resolution without its time, or a time without its resolution"),
        };
        Ok(Conflict {
            id,
            organization,
            count: WarehouseCount {
                sku: Sku::parse(&self.s).map_err(|_| "a SKU")?,
                warehouse: LocationId::parse(&self.l).map_err(|_| "a warehouse")?,
                quantity: units(self.wq)?,
                before: self.wb,
                time: time(self.wt)?,
                position: self.wn,
            },
            central: CentralSide { quantity: self.cq, version: self.cv, time: time(self.ct)? },
            contradiction: Contradiction::parse(&self.cd).ok_or("a contradiction")?,
            policy: ConflictPolicy::parse(&self.po).ok_or("a policy")?,
            found_at: time(self.fa)?,
            resolution,
        })
    }
}

pub(crate) fn read_conflict(attributes: Attributes) -> Result<Conflict, StoreError> {
    let name = item_name(&attributes);
    let item: ConflictItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    item.into_conflict().map_err(|what| corrupt(name, what))
}

/// The conflict that an image of the stream shows. `None` when it shows another kind of item.
///
/// # Errors
/// [`StoreError::Corrupt`] when the image cannot be read.
pub fn conflict_change(image: Option<&serde_dynamo::Item>) -> Result<Option<Conflict>, StoreError> {
    let is_conflict = |image: &&serde_dynamo::Item| match image.get("sk") {
        Some(serde_dynamo::AttributeValue::S(sk)) => keys::is_conflict(sk),
        _ => false,
    };
    let Some(image) = image.filter(is_conflict) else {
        return Ok(None);
    };
    let wrong = |reason: String| corrupt("stream image of a conflict", reason);
    let item: ConflictItem = serde_dynamo::from_item(image.clone()).map_err(|error| wrong(error.to_string()))?;
    item.into_conflict().map(Some).map_err(|what| wrong(what.to_owned()))
}
