//! What marketplaces that are asked about receipts push: that there is an order, or that one was called off. What the
//! order holds is asked for; a notice moves no stock by itself.
//!
//! The body is `{receipt, cancelled?}`, signed like marketplace A's deliveries. Fields that we do not know are ignored.

use evenstock_app::StockChange;
use evenstock_domain::ReceiptId;
use serde_json::value::RawValue;

use crate::fields::{Fields, parse, text};
use crate::marketplace_a::signature;
use crate::{Delivery, FieldIssue, InboundChannel, InvalidPayload, InvalidSignature, Secret};

/// What is told of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderNotice {
    /// It was placed, or changed: its receipt is to be asked about.
    Placed(ReceiptId),
    /// It was called off.
    Cancelled(ReceiptId),
}

/// A marketplace that tells of its orders.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NotifyingMarketplace(pub(crate) &'static str);

impl InboundChannel for NotifyingMarketplace {
    fn kind(&self) -> &'static str {
        self.0
    }

    fn signature_header(&self) -> &'static str {
        "x-marketplace-signature"
    }

    fn verify(&self, body: &[u8], signature: Option<&[u8]>, secrets: &[Secret]) -> Result<(), InvalidSignature> {
        signature::verify(body, signature, secrets)
    }

    fn adapt(&self, _delivery: &Delivery<'_>) -> Result<Vec<StockChange>, InvalidPayload> {
        Ok(Vec::new())
    }

    fn notices(&self, delivery: &Delivery<'_>) -> Result<Vec<OrderNotice>, InvalidPayload> {
        let body_issue = |issue| InvalidPayload { issues: vec![FieldIssue { field: "body".to_owned(), issue }] };
        let json = str::from_utf8(delivery.body).map_err(|_| body_issue("must be UTF-8".to_owned()))?;
        let mut fields = Fields::parse(json).map_err(body_issue)?;
        let receipt =
            fields.required("receipt", |value| ReceiptId::parse(&text(value)?).map_err(|error| error.to_string()));
        let cancelled = fields.optional("cancelled", |value: &RawValue| parse(value.get(), "true or false"));
        match (receipt, cancelled) {
            (Some(receipt), Some(Some(true))) => Ok(vec![OrderNotice::Cancelled(receipt)]),
            (Some(receipt), Some(_)) => Ok(vec![OrderNotice::Placed(receipt)]),
            _ => Err(InvalidPayload { issues: fields.into_issues() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use evenstock_domain::{LocationId, OrganizationId, StoreId, Timestamp};
    use rstest::rstest;

    use super::*;

    fn notices(body: &[u8]) -> Result<Vec<OrderNotice>, String> {
        let delivery = Delivery {
            body,
            organization: &OrganizationId::parse("demo").unwrap(),
            store: &StoreId::parse("store-1").unwrap(),
            default_location: &LocationId::parse("main").unwrap(),
            job_id: "job-1",
            received_at: Timestamp::EPOCH,
        };
        let channel = NotifyingMarketplace("etsy");
        assert_eq!(channel.adapt(&delivery), Ok(Vec::new()), "a notice moves no stock");
        channel.notices(&delivery).map_err(|payload| crate::fields::joined(&payload.issues))
    }

    #[test]
    fn notice_names_a_receipt_and_may_call_it_off() {
        let receipt = ReceiptId::parse("order-101").unwrap();
        for body in [r#"{"receipt":"order-101"}"#, r#"{"receipt":"order-101","cancelled":false,"more":{}}"#] {
            assert_eq!(notices(body.as_bytes()), Ok(vec![OrderNotice::Placed(receipt.clone())]));
        }
        let cancelled = notices(br#"{"receipt":"order-101","cancelled":true}"#);
        assert_eq!(cancelled, Ok(vec![OrderNotice::Cancelled(receipt)]));
    }

    #[rstest]
    #[case::missing("{}", "receipt: is required")]
    #[case::both(r#"{"receipt":7,"cancelled":"no"}"#, "receipt: must be a string; cancelled: must be true or false")]
    #[case::list("[]", "body: must be a JSON object")]
    fn wrong_fields_are_named(#[case] body: &str, #[case] expected: &str) {
        assert_eq!(notices(body.as_bytes()), Err(expected.to_owned()));
    }
}
