//! Quantities and deltas as the outside world may state them, within ±2,147,483,647.
//!
//! A level itself counts in `i64`: facts are never refused, so their sum may leave this range.

/// A number outside what the contract allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutOfRange {
    /// A quantity below zero.
    #[error("must not be negative")]
    Negative,
    /// Further from zero than 2,147,483,647.
    #[error("must be within ±2147483647")]
    TooLarge,
    /// A change of nothing.
    #[error("must be non-zero")]
    Zero,
}

/// Units in stock as somebody states them: 0 to 2,147,483,647.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(i64);

/// A change of stock: -2,147,483,647 to 2,147,483,647, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delta(i64);

impl Quantity {
    /// The greatest quantity.
    pub const MAX: i64 = 2_147_483_647;

    /// Checks a number from outside.
    ///
    /// # Errors
    /// [`OutOfRange`] below 0 and above [`Quantity::MAX`].
    pub const fn new(units: i64) -> Result<Self, OutOfRange> {
        if units < 0 {
            Err(OutOfRange::Negative)
        } else if units > Self::MAX {
            Err(OutOfRange::TooLarge)
        } else {
            Ok(Self(units))
        }
    }

    /// The number of units.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl Delta {
    /// Checks a number from outside.
    ///
    /// # Errors
    /// [`OutOfRange`] for 0 and further from zero than [`Quantity::MAX`].
    pub const fn new(units: i64) -> Result<Self, OutOfRange> {
        if units == 0 {
            Err(OutOfRange::Zero)
        } else if units > Quantity::MAX || units < -Quantity::MAX {
            Err(OutOfRange::TooLarge)
        } else {
            Ok(Self(units))
        }
    }

    /// The signed number of units.
    pub const fn get(self) -> i64 {
        self.0
    }
}
