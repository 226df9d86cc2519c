//! The receipt's item.

use evenstock_app::{StoreError, StoredReceipt};
use evenstock_domain::{
    Line, LocationId, Marketplace, OrganizationId, Receipt, ReceiptClaim, ReceiptError, ReceiptOrder, ReceiptOutcome,
    Sku, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::errors::corrupt;
use crate::keys::{self, Key};
use crate::level_item::item_name;
use crate::table::Attributes;
use crate::written_in::written_in;

/// A receipt as it stands in the table and in its stream.
#[derive(Serialize, Deserialize)]
pub(crate) struct ReceiptItem {
    pk: String,
    sk: String,
    /// Rev, the optimistic lock.
    rv: u64,
    /// Organization.
    og: String,
    /// Marketplace.
    mp: String,
    /// Created at, milliseconds.
    ca: i64,
    /// Calls begun.
    cl: u32,
    /// State, for filters: it follows from what was answered.
    st: String,
    /// The order.
    #[serde(rename = "or", default, skip_serializing_if = "Option::is_none")]
    order: Option<OrderItem>,
    /// The error.
    #[serde(rename = "er", default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Answered at, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aa: Option<i64>,
    /// Next retry at, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nr: Option<i64>,
    /// Claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cm: Option<ClaimItem>,
    /// Token of the claim that was completed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cb: Option<String>,
    /// Cancelled at, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    xa: Option<i64>,
    /// Whether it took more than there was.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    sh: bool,
    /// Group in the index of due items; only while it can come to be due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<String>,
    /// Due at, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dt: Option<i64>,
    /// Group in the index of answered receipts; only once it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    u: Option<String>,
    /// Answered at, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ut: Option<i64>,
    /// The trace of the write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tc: Option<ByteBuf>,
}

#[derive(Serialize, Deserialize)]
struct OrderItem {
    /// The marketplace's id.
    i: String,
    /// Amount.
    a: String,
    /// Currency.
    c: String,
    /// Imported at, milliseconds.
    t: i64,
    /// Lines.
    l: Vec<LineItem>,
    /// Whether they move stock.
    m: bool,
}

#[derive(Serialize, Deserialize)]
struct LineItem {
    /// SKU.
    s: String,
    /// Location.
    l: String,
    /// Units.
    n: i64,
}

#[derive(Serialize, Deserialize)]
struct ClaimItem {
    /// Token.
    t: String,
    /// Until, milliseconds.
    u: i64,
}

impl ReceiptItem {
    pub(crate) fn new(rev: u64, receipt: &Receipt) -> Self {
        let Key { pk, sk } = keys::receipt(&receipt.store, &receipt.id);
        let line = |line: &Line| LineItem { s: line.sku.to_string(), l: line.location.to_string(), n: line.units };
        let order = |order: &ReceiptOrder| OrderItem {
            i: order.order_id.clone(),
            a: order.amount.clone(),
            c: order.currency.clone(),
            t: order.imported_at.as_millis(),
            l: order.lines.iter().map(line).collect(),
            m: order.moves_stock,
        };
        let due_at = receipt.due_at();
        let answered_at = receipt.answered_at.map(Timestamp::as_millis);
        Self {
            pk,
            sk,
            rv: rev,
            og: receipt.organization.to_string(),
            mp: receipt.marketplace.to_string(),
            ca: receipt.created_at.as_millis(),
            cl: receipt.calls,
            st: receipt.state().as_str().to_owned(),
            order: receipt.order().map(order),
            error: receipt.error().map(|error| error.as_str().to_owned()),
            aa: answered_at,
            nr: receipt.next_retry_at.map(Timestamp::as_millis),
            cm: receipt.claim.as_ref().map(|claim| ClaimItem { t: claim.token.clone(), u: claim.until.as_millis() }),
            cb: receipt.completed_by.clone(),
            xa: receipt.cancelled_at.map(Timestamp::as_millis),
            sh: receipt.short,
            d: due_at.map(|_| keys::due_receipts(&receipt.store)),
            dt: due_at.map(Timestamp::as_millis),
            u: answered_at.map(|_| keys::receipts_in(receipt.state(), &receipt.store)),
            ut: answered_at,
            tc: written_in(),
        }
    }

    /// The receipt, checked as far as an item can be.
    pub(crate) fn into_stored(self) -> Result<StoredReceipt, StoreError> {
        let name = format!("{} {}", self.pk, self.sk);
        let rev = self.rv;
        self.into_receipt().map(|receipt| StoredReceipt { rev, receipt }).map_err(|what| corrupt(name, what))
    }

    fn into_receipt(self) -> Result<Receipt, &'static str> {
        let (store, id) = keys::parse_receipt(&self.pk, &self.sk).ok_or("not a receipt's key")?;
        let time = |millis| Timestamp::from_millis(millis).map_err(|_| "a time");
        let outcome = match (self.order, self.error) {
            (None, None) => None,
            (Some(order), None) => Some(ReceiptOutcome::Order(order.into_order()?)),
            (None, Some(error)) => Some(ReceiptOutcome::Error(ReceiptError::parse(&error).ok_or("an error")?)),
            (Some(_), Some(_)) => return Err("an order and an error"),
        };
        if outcome.is_some() != self.aa.is_some() {
            return Err("an answer without its time, or a time without its answer");
        }
        let claim = |claim: ClaimItem| -> Result<ReceiptClaim, &'static str> {
            Ok(ReceiptClaim { token: claim.t, until: time(claim.u)? })
        };
        Ok(Receipt {
            organization: OrganizationId::parse(&self.og).map_err(|_| "an organization's name")?,
            store,
            marketplace: Marketplace::parse(&self.mp).map_err(|_| "a marketplace's name")?,
            id,
            created_at: time(self.ca)?,
            calls: self.cl,
            outcome,
            answered_at: self.aa.map(time).transpose()?,
            next_retry_at: self.nr.map(time).transpose()?,
            claim: self.cm.map(claim).transpose()?,
            completed_by: self.cb,
            cancelled_at: self.xa.map(time).transpose()?,
            short: self.sh,
        })
    }
}

impl OrderItem {
    fn into_order(self) -> Result<ReceiptOrder, &'static str> {
        let line = |line: LineItem| {
            let sku = Sku::parse(&line.s).map_err(|_| "a line's SKU")?;
            let location = LocationId::parse(&line.l).map_err(|_| "a line's location")?;
            if line.n > 0 { Ok(Line { sku, location, units: line.n }) } else { Err("a line's units") }
        };
        Ok(ReceiptOrder {
            order_id: self.i,
            amount: self.a,
            currency: self.c,
            imported_at: Timestamp::from_millis(self.t).map_err(|_| "a time")?,
            lines: self.l.into_iter().map(line).collect::<Result<_, _>>()?,
            moves_stock: self.m,
        })
    }
}

pub(crate) fn read(attributes: Attributes) -> Result<StoredReceipt, StoreError> {
    let name = item_name(&attributes);
    let item: ReceiptItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name, error))?;
    item.into_stored()
}
