//! What AWS asks: list prices in us-east-1, first tier, without the free tier, as known on 20 November 2026. DynamoDB on
//! demand since November 2024; SQS's standard queues, Lambda and API Gateway's HTTP APIs as on their pricing pages.

use crate::meter::Bill;

/// Thousandths of a dollar for a million write units.
const WRITES: u64 = 625;

/// Thousandths of a dollar for a million read units.
const READS: u64 = 125;

/// Thousandths of a dollar for a million requests to a standard queue, of 64 KB each.
const QUEUE_REQUESTS: u64 = 400;

/// Thousandths of a dollar for a million invocations. Their duration is left out: it is the machine's.
const INVOCATIONS: u64 = 200;

/// Thousandths of a dollar for a million requests to an HTTP API.
const HTTP_REQUESTS: u64 = 1000;

/// How often functions were invoked for a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Invoked {
    /// By anything.
    pub(crate) functions: u64,
    /// Of these, through the HTTP API.
    pub(crate) http: u64,
}

/// Thousandths of a dollar for a million operations, when `bill` is that of `count`: DynamoDB and SQS.
pub(crate) fn data_plane(bill: &Bill, count: u64) -> u64 {
    let units = bill.units.writes * WRITES * 2 + bill.units.read_halves * READS;
    (units + bill.queue_requests * QUEUE_REQUESTS * 2) / 2 / count.max(1)
}

/// The same with the requests that Lambda and the HTTP API are paid for.
pub(crate) fn with_invocations(bill: &Bill, invoked: Invoked, count: u64) -> u64 {
    data_plane(bill, count) + (invoked.functions * INVOCATIONS + invoked.http * HTTP_REQUESTS) / count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Units;

    #[test]
    fn million_of_operations_costs_what_the_price_list_says() {
        let units = Units { writes: 2, read_halves: 1 };
        let bill = Bill { units, queue_requests: 1, ..Bill::default() };
        assert_eq!(data_plane(&bill, 1), 1250 + 62 + 400);
        assert_eq!(data_plane(&bill, 10), 171, "of ten together, each costs a tenth");
        assert_eq!(with_invocations(&bill, Invoked { functions: 2, http: 1 }, 1), 1712 + 400 + 1000);
    }
}
