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

use crate::Failure;
use crate::meter::Bill;
use crate::prices::Invoked;
use crate::product::Product;

pub(crate) use row::{Row, decimal, markdown};
pub(crate) use updates::{LOCATION, adjust, stocked, update};

/// Operations of one kind are made so often: a multiple of the sixteen changes after which a page of history is written,
/// so that its share is whole.
pub(crate) const TIMES: u64 = 64;

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

/// Measures all and writes the table.
pub(crate) async fn table() -> Result<String, Failure> {
    let product = Product::start().await?;
    let mut rows = updates::rows(&product).await?;
    rows.extend(reservations::rows(&product).await?);
    rows.extend(reads::rows(&product).await?);
    rows.extend(intake::rows(&product).await?);
    rows.extend(feed::rows(&product).await?);
    rows.extend(callbacks::rows(&product).await?);
    rows.extend(orders::rows(&product).await?);
    rows.extend(upkeep::rows(&product).await?);
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
    Ok(table)
}
