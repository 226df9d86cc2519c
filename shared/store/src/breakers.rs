//! The shared circuit breakers.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use evenstock_app::{BreakerStore, StoreError};
use evenstock_domain::{Breaker, ProbeToken, Source, Timestamp};
use serde::{Deserialize, Serialize};

use crate::errors::corrupt;
use crate::keys::{self, Key};
use crate::revision::ABSENT;
use crate::table::{DynamoStore, conditional, number, to_attributes};

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
}

#[derive(Debug, Serialize, Deserialize)]
struct ProbeItem {
    /// Its holder.
    h: String,
    /// Counts as lost from then on, milliseconds.
    l: i64,
}

impl BreakerStore for DynamoStore {
    async fn load_breaker(&self, name: &Source) -> Result<(Option<u64>, Breaker), StoreError> {
        let key = keys::breaker(name);
        let Some(attributes) = self.get(&key).await? else {
            return Ok((None, Breaker::default()));
        };
        let item: BreakerItem =
            serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(key.pk.clone(), error))?;
        let time = |millis| Timestamp::from_millis(millis).map_err(|error| corrupt(key.pk.clone(), error));
        let probe = match item.p {
            Some(probe) => Some((ProbeToken(probe.h), time(probe.l)?)),
            None => None,
        };
        let breaker = Breaker { failures: item.f, open_until: item.un.map(time).transpose()?, probe };
        Ok((Some(item.rv), breaker))
    }

    async fn save_breaker(&self, name: &Source, expected: Option<u64>, breaker: &Breaker) -> Result<bool, StoreError> {
        let Key { pk, sk } = keys::breaker(name);
        let item = BreakerItem {
            pk,
            sk,
            rv: expected.map_or(1, |rev| rev.saturating_add(1)),
            f: breaker.failures,
            un: breaker.open_until.map(Timestamp::as_millis),
            p: breaker.probe.as_ref().map(|(token, lost)| ProbeItem { h: token.0.clone(), l: lost.as_millis() }),
        };
        let put = self.client.put_item().table_name(&self.table).set_item(Some(to_attributes(&item)?));
        let put = match expected {
            None => put.condition_expression(ABSENT),
            Some(rev) => put.condition_expression("rv = :rev").expression_attribute_values(":rev", number(rev)),
        };
        Ok(conditional!(put.send().await, PutItemError::ConditionalCheckFailedException)?.is_ok())
    }
}
