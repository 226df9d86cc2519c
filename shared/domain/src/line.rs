//! The lines of a reservation: how many units of which levels.

use std::collections::BTreeMap;

use crate::{LocationId, Quantity, Sku};

/// Lines of a reservation, at most.
pub const LINES_MAX: usize = 50;

/// Units of one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The product.
    pub sku: Sku,
    /// The place.
    pub location: LocationId,
    /// How many, at least 1.
    pub units: i64,
}

/// Why lines cannot be reserved together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLines {
    /// None, or more than [`LINES_MAX`].
    #[error("must hold 1 to {LINES_MAX} lines")]
    Count,
    /// A line, or the lines of one level together, without units or with too many.
    #[error("must ask for 1 to 2147483647 units of each product at each place")]
    Units,
}

/// Sums the lines of each level, in the order of their first lines.
///
/// # Errors
/// [`InvalidLines`] when there are too many or too few lines or units.
pub fn sum_lines(lines: Vec<Line>) -> Result<Vec<Line>, InvalidLines> {
    if !(1..=LINES_MAX).contains(&lines.len()) {
        return Err(InvalidLines::Count);
    }
    let mut places = BTreeMap::new();
    let mut sums: Vec<Line> = Vec::new();
    for line in lines {
        let place = *places.entry((line.sku.clone(), line.location.clone())).or_insert(sums.len());
        match sums.get_mut(place) {
            Some(sum) => sum.units = sum.units.saturating_add(line.units.max(0)),
            None => sums.push(line),
        }
    }
    if sums.iter().all(|line| (1..=Quantity::MAX).contains(&line.units)) { Ok(sums) } else { Err(InvalidLines::Units) }
}
