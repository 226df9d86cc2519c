//! The port to a marketplace that is asked whether a receipt is an order, and what that order holds.
//!
//! One call, one answer: whether to ask again, and when, is the import's decision. Must not know HTTP.

use core::fmt;

use evenstock_domain::{LocationId, Quantity, Sku, Timestamp};

use crate::SecretText;

/// The most digits of an amount: as many as every JSON reader keeps exactly.
const AMOUNT_DIGITS_MAX: usize = 15;

/// A seller's account at a marketplace: where it is asked and as whom.
#[derive(Debug, Clone)]
pub struct MarketplaceAccount {
    /// The kind of marketplace, such as `etsy`.
    pub marketplace: String,
    /// Where this account's marketplace is; `None` for the one that the deployment names.
    pub base_url: Option<String>,
    /// What the seller gave us to prove who asks.
    pub access_token: SecretText,
    /// The currency that the seller registered: three capital letters.
    pub currency: String,
}

/// What a marketplace says of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validation {
    /// It is an order.
    Accepted(ValidatedOrder),
    /// It knows no such order.
    Refused,
}

/// An order as the marketplace states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatedOrder {
    /// The marketplace's own id of the order.
    pub order_id: String,
    /// What the buyer pays.
    pub amount: Amount,
    /// In what currency: three capital letters. May differ from the account's, which is the import's to judge.
    pub currency: String,
    /// When the marketplace recorded it.
    pub imported_at: Timestamp,
    /// What was sold; empty when the marketplace tells no lines.
    pub lines: Vec<ValidatedLine>,
    /// Whether the order was called off.
    pub cancelled: bool,
}

/// A line of an order. Its place in the order names it, so the list must not be sorted or merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatedLine {
    /// What was sold.
    pub sku: Sku,
    /// How many units; at least one.
    pub quantity: Quantity,
    /// Where they are taken from; `None` leaves it to the store's default.
    pub location: Option<LocationId>,
}

/// An amount of money as the decimal that was received. Never calculated with, so never rounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Amount(String);

/// A text that is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a plain decimal number of at most 15 digits")]
pub struct InvalidAmount;

impl Amount {
    /// Takes a decimal number such as `123.45`; no exponent.
    ///
    /// # Errors
    /// [`InvalidAmount`] for any other text, and for more than 15 digits.
    pub fn parse(text: &str) -> Result<Self, InvalidAmount> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(w, f)| (w, Some(f)));
        let padded = whole.len() > 1 && whole.starts_with('0');
        let length = whole.len() + fraction.map_or(0, str::len);
        if !digits(whole) || padded || !fraction.is_none_or(digits) || length > AMOUNT_DIGITS_MAX {
            return Err(InvalidAmount);
        }
        Ok(Self(text.to_owned()))
    }

    /// The decimal as it was received.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same number for a JSON document.
    pub fn to_number(&self) -> serde_json::Number {
        // An amount is always a JSON number, so there always is one.
        serde_json::from_str(&self.0).unwrap_or_else(|_| serde_json::Number::from(0))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a marketplace gave no answer to a question about a receipt. Quotes no body, no credential and no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarketplaceError {
    /// It asks us to slow down.
    #[error("the marketplace limits our rate")]
    RateLimited {
        /// How long it wants us to wait, in seconds.
        retry_after_seconds: Option<u32>,
    },
    /// It does not accept the account's credentials.
    #[error("the marketplace refuses the account's credentials")]
    Unauthorized,
    /// It is out of reach, too slow, or fails.
    #[error("the marketplace is unavailable: {reason}")]
    Unavailable {
        /// What was seen.
        reason: String,
        /// How long it wants us to wait, in seconds.
        retry_after_seconds: Option<u32>,
    },
    /// Its answer is not what the contract says; often the web page of something in between.
    #[error("the marketplace's answer cannot be read: {reason}")]
    Unreadable {
        /// What was wrong.
        reason: String,
    },
}

impl MarketplaceError {
    /// Whether a breaker counts it: who limits our rate or refuses one seller's credentials is well.
    pub const fn counts_as_failure(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Unreadable { .. })
    }

    /// How long the other side wants us to wait, in seconds.
    pub const fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::RateLimited { retry_after_seconds } | Self::Unavailable { retry_after_seconds, .. } => {
                *retry_after_seconds
            }
            Self::Unauthorized | Self::Unreadable { .. } => None,
        }
    }
}

/// Marketplaces that can be asked about receipts.
pub trait OrderMarketplace: Send + Sync {
    /// Asks the account's marketplace about a receipt, once. The same question may be asked again.
    fn validate(
        &self,
        account: &MarketplaceAccount,
        receipt: &str,
    ) -> impl Future<Output = Result<Validation, MarketplaceError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_keep_every_digit() {
        for text in ["0", "5", "123.45", "0.10", "-3.50", "999999999999.99"] {
            let amount = Amount::parse(text).unwrap();
            assert_eq!((amount.as_str(), amount.to_string().as_str()), (text, text));
        }
        assert_eq!(Amount::parse("123.45").unwrap().to_number().to_string(), "123.45");
        assert_eq!(Amount::parse("999999999999.99").unwrap().to_number().to_string(), "999999999999.99");
        assert_eq!(Amount::parse("7").unwrap().to_number().to_string(), "7");
    }

    #[test]
    fn what_is_no_plain_decimal_is_no_amount() {
        for text in ["", "-", ".5", "5.", "1e3", "01", "+1", "1,5", "NaN", " 1", "1.2.3", "1234567890123456"] {
            assert_eq!(Amount::parse(text), Err(InvalidAmount), "{text}");
        }
    }
}
