//! Names that come from outside, checked once when they enter.
//!
//! Every name may hold any text that a marketplace could use (slashes, emoji, separators of our own keys): escaping is
//! the storage layer's duty, never a reason to refuse a SKU.

use core::fmt;
use std::sync::Arc;

/// The greatest length of a name, in UTF-8 bytes.
const NAME_BYTES_MAX: usize = 128;

/// Why a text cannot be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than 128 UTF-8 bytes.
    #[error("must be at most 128 bytes of UTF-8")]
    TooLong,
    /// The text contains a control character.
    #[error("must not contain control characters")]
    ControlCharacter,
    /// The text begins or ends with white space.
    #[error("must not begin or end with a space")]
    OuterSpace,
}

fn check(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        Err(InvalidId::Empty)
    } else if text.len() > NAME_BYTES_MAX {
        Err(InvalidId::TooLong)
    } else if text.chars().any(char::is_control) {
        Err(InvalidId::ControlCharacter)
    } else if text.trim().len() != text.len() {
        Err(InvalidId::OuterSpace)
    } else {
        Ok(())
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text from outside.
            ///
            /// # Errors
            /// [`InvalidId`] when it is empty, longer than 128 bytes, has control characters or outer spaces.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                check(text).map(|()| Self(Arc::from(text)))
            }

            /// The text as it came in.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A product as we track it; `productId` on some wire formats.
    Sku
}
name! {
    /// A place that holds stock: a shop or a warehouse.
    LocationId
}
name! {
    /// A tenant. Everything that we store belongs to exactly one.
    OrganizationId
}
name! {
    /// A seller's account on a marketplace.
    StoreId
}
name! {
    /// An order that units are held for, by the name that its owner gave it.
    OrderId
}
name! {
    /// A reservation of one organization.
    ReservationId
}
name! {
    /// A job of one organization, such as `sync-0199…`.
    JobId
}
name! {
    /// A kind of marketplace, such as `etsy`.
    Marketplace
}
name! {
    /// The reference under which a marketplace knows an order.
    ReceiptId
}
name! {
    /// An endpoint that an organization registered for callbacks.
    EndpointId
}
name! {
    /// Who stated or caused a change: `api`, or a channel and store such as `marketplace-a/default`.
    Source
}

impl Source {
    /// The source of everything that comes through our own HTTP interface.
    pub fn api() -> Self {
        Self(Arc::from("api"))
    }
}

/// What identifies a stock level: one SKU at one location of one organization.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LevelKey {
    /// The tenant.
    pub organization: OrganizationId,
    /// The product.
    pub sku: Sku,
    /// The place.
    pub location: LocationId,
}
