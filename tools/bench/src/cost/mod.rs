//! What each operation of the product costs: driven through its handlers, counted between them and AWS.

mod callbacks;
mod feed;
mod intake;
mod orders;
mod reads;
mod reservations;
mod row;
mod updates;
mod upkeep;

#[cfg(test)]
mod tests;

use std::fmt::Write;

use clap::ValueEnum;

use crate::Failure;
use crate::meter::Bill;
use crate::prices::Invoked;
use crate::product::Product;

pub(crate) use intake::Webhooks;
pub(crate) use row::{Row, decimal, markdown};
pub(crate) use updates::{LOCATION, adjust, stocked, update};

/// Operations of one kind are made so often: a multiple of the sixteen changes after which a page of history is written,
/// so that its share is whole.
pub(crate) const TIMES: u64 = 32;

/// One invocation through the HTTP API for each operation.
pub(crate) const fn by_http(count: u64) -> Invoked {
    Invoked { functions: count, http: count }
}

/// So many invocations that no HTTP request made.
pub(crate) const fn invoked(functions: u64) -> Invoked {
    Invoked { functions, http: 0 }
}

/// Makes an operation so many times, one after the other.
pub(crate) async fn each(
    product: &Product,
    times: u64,
    operation: impl AsyncFn(u64) -> Result<(), Failure>,
) -> Result<Bill, Failure> {
    product.meter.take();
    let mut sum = Bill::default();
    for n in 0..times {
        operation(n).await?;
        sum.add(product.meter.take());
    }
    Ok(sum)
}

/// The parts of the table, by what they measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    Updates,
    Reservations,
    Reads,
    Intake,
    Feed,
    Callbacks,
    Orders,
    Upkeep,
}

impl Part {
    async fn rows(self, product: &Product) -> Result<Vec<Row>, Failure> {
        match self {
            Self::Updates => updates::rows(product).await,
            Self::Reservations => reservations::rows(product).await,
            Self::Reads => reads::rows(product).await,
            Self::Intake => intake::rows(product).await,
            Self::Feed => feed::rows(product).await,
            Self::Callbacks => callbacks::rows(product).await,
            Self::Orders => orders::rows(product).await,
            Self::Upkeep => upkeep::rows(product).await,
        }
    }
}

/// Measures these parts, or all, and writes the table. What could not be measured is an error that holds the rest.
pub(crate) async fn table(parts: &[Part]) -> Result<String, Failure> {
    let parts = if parts.is_empty() { Part::value_variants() } else { parts };
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for part in parts {
        // Each on a table of its own, so that none depends on what was measured before.
        let product = Product::start().await?;
        match part.rows(&product).await {
            Ok(measured) => rows.extend(measured),
            Err(error) => failures.push(format!("{part:?}: {error}")),
        }
    }
    let mut table = row::table(&rows);
    let agreed: u64 = rows.iter().map(|row| row.bill.agreed).sum();
    let mut disagreed: Vec<_> = rows.iter().flat_map(|row| &row.bill.disagreed).collect();
    disagreed.sort();
    let differ = disagreed.len();
    write!(table, "\n\nOur model and the emulator agree about {agreed} calls and differ about {differ}.")?;
    disagreed.dedup();
    for difference in disagreed {
        write!(table, "\n- {difference}")?;
    }
    if failures.is_empty() {
        Ok(table)
    } else {
        Err(format!("{table}\n\nnot measured: {}", failures.join("\n")).into())
    }
}
