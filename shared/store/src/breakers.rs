//! The shared circuit breakers. The write that makes one fail or well also puts it into the indexes or takes it out.

use core::cmp::Reverse;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use evenstock_app::{BreakerStore, BreakerWatch, Circuit, FailingBreakers, StoreError};
use evenstock_domain::{Breaker, OrganizationId, ProbeToken, Source, Timestamp};
use serde::{Deserialize, Serialize};

use crate::errors::{corrupt, store_error};
use crate::keys::{self, BY_STATE, DUE, FAILING_BREAKERS, Key};
use crate::level_item::item_name;
use crate::listing::BATCH_KEYS_MAX;
use crate::revision::ABSENT;
use crate::table::{Attributes, DynamoStore, conditional, number, text, to_attributes};

#[derive(Debug, Serialize, Deserialize)]
struct BreakerItem {
    pk: String,
    sk: String,
    /// Rev, the optimistic lock.
    rv: u64,
    /// Failures in a row.
    f: u32,
    /// Open until, milliseconds. Not `u`, which is the key of an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    un: Option<i64>,
    /// The probe that is out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<ProbeItem>,
    /// Whose store or warehouse it guards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    og: Option<String>,
    /// While it fails: its organization's list, and its place there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dt: Option<i64>,
    /// While it fails: the list of all, and its place there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    u: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ut: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ProbeItem {
    /// Its holder.
    h: String,
    /// Counts as lost from then on, milliseconds.
    l: i64,
}

impl BreakerItem {
    fn new(circuit: &Circuit, rev: u64, breaker: &Breaker) -> Self {
        let Key { pk, sk } = keys::breaker(&circuit.name);
        let organization = circuit.organization.as_ref();
        let open_until = breaker.open_until.map(Timestamp::as_millis);
        // Lists are read from their end, so those that are still closed stand behind all that are open.
        let place = breaker.is_failing().then(|| open_until.unwrap_or_default());
        let list = place.and(organization).map(keys::failing_breakers_of);
        Self {
            pk,
            sk,
            rv: rev,
            f: breaker.failures,
            un: open_until,
            p: breaker.probe.as_ref().map(|(token, lost)| ProbeItem { h: token.0.clone(), l: lost.as_millis() }),
            og: organization.map(|organization| organization.as_str().to_owned()),
            dt: list.as_ref().and(place),
            d: list,
            u: place.map(|_| FAILING_BREAKERS.to_owned()),
            ut: place,
        }
    }

    fn read(attributes: Attributes) -> Result<Self, StoreError> {
        let name = item_name(&attributes);
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name, error))
    }

    fn breaker(&self) -> Result<Breaker, StoreError> {
        let time = |millis| Timestamp::from_millis(millis).map_err(|error| corrupt(self.pk.clone(), error));
        let probe = match &self.p {
            Some(probe) => Some((ProbeToken(probe.h.clone()), time(probe.l)?)),
            None => None,
        };
        Ok(Breaker { failures: self.f, open_until: self.un.map(time).transpose()?, probe })
    }
}

impl BreakerStore for DynamoStore {
    async fn load_breaker(&self, name: &Source) -> Result<(Option<u64>, Breaker), StoreError> {
        let Some(attributes) = self.get(&keys::breaker(name)).await? else {
            return Ok((None, Breaker::default()));
        };
        let item = BreakerItem::read(attributes)?;
        Ok((Some(item.rv), item.breaker()?))
    }

    async fn save_breaker(
        &self,
        circuit: &Circuit,
        expected: Option<u64>,
        breaker: &Breaker,
    ) -> Result<bool, StoreError> {
        let item = BreakerItem::new(circuit, expected.map_or(1, |rev| rev.saturating_add(1)), breaker);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(to_attributes(&item)?));
        let put = match expected {
            None => put.condition_expression(ABSENT),
            Some(rev) => put.condition_expression("rv = :rev").expression_attribute_values(":rev", number(rev)),
        };
        Ok(conditional!(put.send().await, PutItemError::ConditionalCheckFailedException)?.is_ok())
    }
}

impl BreakerWatch for DynamoStore {
    async fn failing_breakers(
        &self,
        organization: Option<&OrganizationId>,
        limit: u32,
    ) -> Result<FailingBreakers, StoreError> {
        let (index, condition, list) = match organization {
            Some(organization) => (DUE, "d = :list", keys::failing_breakers_of(organization)),
            None => (BY_STATE, "u = :list", FAILING_BREAKERS.to_owned()),
        };
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index)
            .key_condition_expression(condition)
            .expression_attribute_values(":list", text(list))
            .scan_index_forward(false)
            // One too many tells whether there are more.
            .limit(i32::try_from(limit).unwrap_or(i32::MAX).saturating_add(1));
        let listed = query.send().await.map_err(store_error)?.items.unwrap_or_default();
        let more = listed.len() > limit as usize;
        let names: Vec<_> = listed.iter().take(limit as usize).map(listed_name).collect::<Result<_, _>>()?;
        let mut breakers = Vec::with_capacity(names.len());
        for batch in names.chunks(BATCH_KEYS_MAX) {
            for attributes in self.read_items(batch.iter().map(keys::breaker)).await? {
                breakers.push((listed_name(&attributes)?, BreakerItem::read(attributes)?.breaker()?));
            }
        }
        // The index lags: what it lists was read afresh, and may be well again.
        breakers.retain(|(_, breaker)| breaker.is_failing());
        breakers.sort_by_key(|(_, breaker)| Reverse(breaker.open_until));
        Ok(FailingBreakers { breakers, more })
    }
}

/// The breaker that an item or a row of an index is about.
fn listed_name(row: &Attributes) -> Result<Source, StoreError> {
    let pk = row.get("pk").and_then(|value| value.as_s().ok());
    pk.and_then(|pk| keys::parse_breaker(pk)).ok_or_else(|| corrupt(item_name(row), "not a breaker's key"))
}
