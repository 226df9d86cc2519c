//! A line of the table: what was measured for one operation, and what it cannot be made cheaper than.

use crate::meter::{Bill, Chain};
use crate::prices::{Invoked, data_plane, with_invocations};

/// The least that an operation can take, in hundredths: calls of AWS and write units.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Floor {
    pub(crate) calls: u64,
    pub(crate) writes: u64,
}

/// The least, in hundredths.
pub(crate) const fn floor(calls: u64, writes: u64) -> Floor {
    Floor { calls, writes }
}

/// What operations of one kind came to.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// How many operations the bill is for.
    pub(crate) count: u64,
    pub(crate) bill: Bill,
    pub(crate) invoked: Invoked,
    pub(crate) floor: Floor,
}

impl Row {
    /// Write units of one operation, in hundredths.
    pub(crate) fn writes(&self) -> u64 {
        self.each(self.bill.units.writes * 100)
    }

    /// Calls of one operation, in hundredths.
    pub(crate) fn calls(&self) -> u64 {
        self.each(self.bill.calls() * 100)
    }

    /// Rounded up, so that nothing looks cheaper than it is.
    fn each(&self, sum: u64) -> u64 {
        sum.div_ceil(self.count.max(1))
    }

    fn cells(&self) -> [String; 10] {
        let bill = &self.bill;
        let trips = match bill.chain {
            None => "-".to_owned(),
            Some(Chain { least, most }) if least == most => least.to_string(),
            Some(Chain { least, most }) => format!("{least} to {most}"),
        };
        [
            self.name.to_owned(),
            decimal(self.calls(), 2),
            decimal(self.writes(), 2),
            decimal(self.each(bill.units.read_halves * 50), 2),
            trips,
            decimal(self.each(bill.bytes * 10 / 1024), 1),
            decimal(data_plane(bill, self.count), 3),
            decimal(with_invocations(bill, self.invoked, self.count), 3),
            decimal(self.floor.calls, 2),
            decimal(self.floor.writes, 2),
        ]
    }
}

const HEAD: [&str; 10] =
    ["operation", "AWS calls", "WCU", "RCU", "round trips", "KB", "$/M data", "$/M all", "floor: calls", "floor: WCU"];

/// The table, in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let cells: Vec<_> = std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(Row::cells)).collect();
    markdown(&cells)
}

/// Rows of cells, the first of them the head, in columns as wide as their widest cell.
pub(crate) fn markdown<const N: usize>(cells: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|at| {
        cells.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    });
    let mut lines = Vec::with_capacity(cells.len() + 1);
    for row in cells {
        let padded = row.iter().zip(widths).enumerate().map(|(at, (cell, width))| match at {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        lines.push(format!("| {} |", padded.collect::<Vec<_>>().join(" | ")));
        if lines.len() == 1 {
            let rules = widths.iter().enumerate().map(|(at, width)| match at {
                0 => "-".repeat(*width),
                _ => format!("{}:", "-".repeat(width.saturating_sub(1))),
            });
            lines.push(format!("| {} |", rules.collect::<Vec<_>>().join(" | ")));
        }
    }
    lines.join("\n")
}

/// A number with so many digits behind the point, without floating point.
pub(crate) fn decimal(number: u64, digits: u32) -> String {
    let unit = 10_u64.pow(digits);
    let width = usize::try_from(digits).unwrap_or_default();
    format!("{}.{:0width$}", number / unit, number % unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_columns_line_up() {
        assert_eq!((decimal(7, 2), decimal(1234, 3), decimal(100, 1)), ("0.07".into(), "1.234".into(), "10.0".into()));
        let cells = [["a", "b"], ["long", "1"]].map(|row| row.map(str::to_owned));
        assert_eq!(markdown(&cells), "| a    | b |\n| ---- | : |\n| long | 1 |");
    }
}
