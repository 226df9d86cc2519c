//! What a central system is known to hold of our levels: one item beside each level that was ever pushed.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use evenstock_app::{CentralCopies, StoreError};
use evenstock_domain::{CentralCopy, CentralDispute, DisputeReason, Holding, LevelKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::errors::corrupt;
use crate::keys::{self, Key};
use crate::table::{DynamoStore, conditional, number, to_attributes};

#[derive(Debug, Serialize, Deserialize)]
struct CopyItem {
    pk: String,
    sk: String,
    /// Rev, the optimistic lock.
    rv: u64,
    /// Our version up to which it has everything.
    th: u64,
    /// Its version.
    vs: u64,
    /// Its quantity.
    qt: i64,
    /// A difference that it is to be told first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    co: Option<i64>,
    /// The dispute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    di: Option<DisputeItem>,
}

#[derive(Debug, Serialize, Deserialize)]
struct DisputeItem {
    /// Reason.
    rs: String,
    /// Our quantity, version and time.
    oq: i64,
    ov: u64,
    ot: i64,
    /// Its quantity and version.
    tq: i64,
    tv: u64,
    /// What it should have had.
    ex: i64,
    /// When it said so, milliseconds.
    at: i64,
}

const fn reason_code(reason: DisputeReason) -> &'static str {
    match reason {
        DisputeReason::Differs => "differs",
        DisputeReason::Refuses => "refuses",
    }
}

impl From<&CentralDispute> for DisputeItem {
    fn from(dispute: &CentralDispute) -> Self {
        Self {
            rs: reason_code(dispute.reason).to_owned(),
            oq: dispute.ours.quantity,
            ov: dispute.ours.version,
            ot: dispute.ours_at.as_millis(),
            tq: dispute.theirs.quantity,
            tv: dispute.theirs.version,
            ex: dispute.expected,
            at: dispute.at.as_millis(),
        }
    }
}

impl DisputeItem {
    fn into_dispute(self) -> Result<CentralDispute, &'static str> {
        let time = |millis| Timestamp::from_millis(millis).map_err(|_| "a time");
        let reasons = [DisputeReason::Differs, DisputeReason::Refuses];
        Ok(CentralDispute {
            reason: reasons.into_iter().find(|reason| reason_code(*reason) == self.rs).ok_or("a reason")?,
            ours: Holding { quantity: self.oq, version: self.ov },
            ours_at: time(self.ot)?,
            theirs: Holding { quantity: self.tq, version: self.tv },
            expected: self.ex,
            at: time(self.at)?,
        })
    }
}

impl CentralCopies for DynamoStore {
    async fn load_copy(&self, key: &LevelKey) -> Result<Option<(u64, CentralCopy)>, StoreError> {
        let key = keys::central_copy(key);
        let Some(attributes) = self.get(&key).await? else {
            return Ok(None);
        };
        let name = format!("{} {}", key.pk, key.sk);
        let item: CopyItem =
            serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
        let dispute = item.di.map(DisputeItem::into_dispute).transpose().map_err(|what| corrupt(name, what))?;
        let copy = CentralCopy { through: item.th, version: item.vs, quantity: item.qt, correction: item.co, dispute };
        Ok(Some((item.rv, copy)))
    }

    async fn save_copy(&self, key: &LevelKey, expected: Option<u64>, copy: &CentralCopy) -> Result<bool, StoreError> {
        let Key { pk, sk } = keys::central_copy(key);
        let item = CopyItem {
            pk,
            sk,
            rv: expected.map_or(1, |rev| rev.saturating_add(1)),
            th: copy.through,
            vs: copy.version,
            qt: copy.quantity,
            co: copy.correction,
            di: copy.dispute.as_ref().map(DisputeItem::from),
        };
        let put = self.client.put_item().table_name(&self.table).set_item(Some(to_attributes(&item)?));
        let put = match expected {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(rev) => put.condition_expression("rv = :rev").expression_attribute_values(":rev", number(rev)),
        };
        Ok(conditional!(put.send().await, PutItemError::ConditionalCheckFailedException)?.is_ok())
    }
}
