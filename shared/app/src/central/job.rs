//! The messages of the pushes' queue: names of levels to look at, never quantities.

use std::collections::{BTreeMap, BTreeSet};

use evenstock_domain::{LevelKey, LocationId, OrganizationId, Sku};
use serde::{Deserialize, Serialize};

use crate::Outgoing;

/// Levels that one message names, and updates that one call carries, at most.
pub const LEVELS_MAX: usize = 100;

/// A message that is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a push: {0}")]
pub struct InvalidPushJob(String);

/// A level of the message's organization.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LevelName {
    /// The product.
    pub sku: String,
    /// The place.
    pub location: String,
}

/// Levels whose changes are to be pushed: the body of a message on `stock-pushes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushJob {
    /// The tenant.
    pub organization: String,
    /// The levels.
    pub levels: Vec<LevelName>,
    /// How often the central system put them off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// Whether they were found to differ before, and had time to agree.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub again: bool,
    /// Why they are dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(tries: &u32) -> bool {
    *tries == 0
}

impl PushJob {
    /// Reads a message's body.
    ///
    /// # Errors
    /// [`InvalidPushJob`] when it is not JSON of this shape, or holds what is no name.
    pub fn from_json(body: &str) -> Result<(Self, Vec<LevelKey>), InvalidPushJob> {
        let invalid = |error: &dyn core::fmt::Display| InvalidPushJob(error.to_string());
        let job: Self = serde_json::from_str(body).map_err(|error| invalid(&error))?;
        let organization = OrganizationId::parse(&job.organization).map_err(|error| invalid(&error))?;
        let key = |level: &LevelName| {
            let sku = Sku::parse(&level.sku).map_err(|error| invalid(&error))?;
            let location = LocationId::parse(&level.location).map_err(|error| invalid(&error))?;
            Ok(LevelKey { organization: organization.clone(), sku, location })
        };
        let keys = job.levels.iter().map(key).collect::<Result<_, _>>()?;
        Ok((job, keys))
    }

    /// The message that may be received after `delay_seconds`.
    ///
    /// # Errors
    /// [`InvalidPushJob`] when its organization is no name.
    pub fn outgoing(&self, delay_seconds: u16) -> Result<Outgoing, InvalidPushJob> {
        let invalid = |error: &dyn core::fmt::Display| InvalidPushJob(error.to_string());
        let organization = OrganizationId::parse(&self.organization).map_err(|error| invalid(&error))?;
        let body = serde_json::to_string(self).map_err(|error| invalid(&error))?;
        Ok(Outgoing { delay_seconds, ..Outgoing::now(body, organization) })
    }
}

/// As few messages as name all of these levels, each level once.
pub fn push_jobs(levels: &BTreeSet<LevelKey>) -> Vec<PushJob> {
    let mut packs: BTreeMap<&OrganizationId, Vec<LevelName>> = BTreeMap::new();
    for key in levels {
        let name = LevelName { sku: key.sku.to_string(), location: key.location.to_string() };
        packs.entry(&key.organization).or_default().push(name);
    }
    let job = |organization: &OrganizationId, levels: &[LevelName]| PushJob {
        organization: organization.to_string(),
        levels: levels.to_vec(),
        tries: 0,
        again: false,
        reason: None,
    };
    let mut jobs = Vec::new();
    for (organization, levels) in packs {
        jobs.extend(levels.chunks(LEVELS_MAX).map(|levels| job(organization, levels)));
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(organization: &str, sku: &str) -> LevelKey {
        LevelKey {
            organization: OrganizationId::parse(organization).unwrap(),
            sku: Sku::parse(sku).unwrap(),
            location: LocationId::parse("main").unwrap(),
        }
    }

    #[test]
    fn levels_of_an_organization_share_messages_that_read_back() {
        let mut levels: BTreeSet<_> = (0..150).map(|n| key("us", &format!("SKU-{n}"))).collect();
        levels.insert(key("them", "SKU-1"));
        let jobs = push_jobs(&levels);
        let sizes: Vec<_> = jobs.iter().map(|job| (job.organization.as_str(), job.levels.len())).collect();
        assert_eq!(sizes, [("them", 1), ("us", 100), ("us", 50)]);
        let mut read = BTreeSet::new();
        for job in &jobs {
            let (again, keys) = PushJob::from_json(&job.outgoing(0).unwrap().body).unwrap();
            assert_eq!(again, *job);
            read.extend(keys);
        }
        assert_eq!(read, levels);
    }

    #[test]
    fn other_messages_are_refused() {
        for body in ["", "{}", r#"{"organization":"","levels":[]}"#, r#"{"organization":"o","levels":[{"sku":"a"}]}"#] {
            assert!(PushJob::from_json(body).is_err(), "{body}");
        }
    }
}
