//! Ratios as text, without floating point.

/// `part` by `whole`, with two digits.
pub(crate) fn hundredths(part: u64, whole: u64) -> String {
    let ratio = part * 100 / whole.max(1);
    format!("{}.{:02}", ratio / 100, ratio % 100)
}
