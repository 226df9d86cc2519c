//! The metrics in Prometheus' text format, version 0.0.4.

use core::fmt::{self, Write};

use evenstock_app::Counts;
use evenstock_runtime::metrics::{LATENCY_BOUNDS_MS, latency_name};

use crate::metrics::{Metrics, PartitionBody};

/// What the text is.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counters: our name, their name, what they count.
const COUNTERS: &[(&str, &str, &str)] = &[
    ("requests", "http_requests_total", "Requests answered."),
    ("errors", "http_errors_total", "Requests answered with a status of 500 or more."),
    ("conflicts", "conflicts_total", "Requests refused with 409."),
    ("idempotentHits", "idempotent_hits_total", "Requests recognized by their idempotency key."),
    ("rateLimited", "rate_limited_total", "Requests refused with 429."),
    ("shed", "shed_total", "Requests turned away because too much waits."),
    ("adjustStock", "adjust_stock_total", "Requests that change stock."),
    ("reserveStock", "reserve_stock_total", "Requests that reserve stock."),
    ("getInventory", "get_inventory_total", "Requests that read stock."),
    ("syncOperations", "sync_operations_total", "Requests to synchronize, or about it."),
    ("inventoryUpdates", "inventory_updates_total", "Stock events that were applied."),
    ("dlqEvents", "dlq_events_total", "Messages that failed for the last time, and records given up at once."),
    ("importedOrders", "imported_orders_total", "Orders that a marketplace confirmed."),
    ("rateLimitedReceipts", "rate_limited_receipts_total", "Answers of marketplaces that want to be asked later."),
    ("callbacksSucceeded", "callbacks_succeeded_total", "Calls of endpoints that arrived."),
    ("callbacksFailed", "callbacks_failed_total", "Deliveries that were given up."),
    ("callbacksRetried", "callbacks_retried_total", "Calls that failed and are made again."),
    ("warehouseChangesApplied", "warehouse_changes_applied_total", "Changes of warehouses that were applied."),
    ("warehouseChangesStale", "warehouse_changes_stale_total", "Changes of warehouses that were known or too old."),
    ("warehouseConflicts", "warehouse_conflicts_total", "Changes of warehouses that contradict what we know."),
    ("reconciliations", "reconciliations_total", "Warehouses that were compared with our stock to the end."),
    ("reconciliationsFailed", "reconciliations_failed_total", "Comparisons that ended without it."),
    ("driftRepaired", "drift_repaired_total", "Levels that a comparison set right."),
    ("stockPushes", "stock_pushes_total", "Changes that the central system was told."),
    ("stockPushFailures", "stock_push_failures_total", "Levels whose changes it could not be told."),
    ("stockPushConflicts", "stock_push_conflicts_total", "Levels of which it holds something else."),
    ("snapshotWriteBytes", "snapshot_write_bytes", "Bytes of snapshots that were handed out."),
];

/// Writes everything down.
pub(crate) fn exposition(metrics: &Metrics) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if write_all(&mut text, metrics).is_err() {
        tracing::error!("the metrics cannot be written down");
    }
    text
}

fn write_all(text: &mut String, metrics: &Metrics) -> fmt::Result {
    for (ours, name, help) in COUNTERS {
        family(text, name, "counter", help)?;
        for (function, counts) in &metrics.counts {
            let value = counts.get(*ours).copied().unwrap_or_default();
            writeln!(text, "{name}{{function=\"{}\"}} {value}", escaped(function))?;
        }
    }
    family(text, "request_latency_ms", "histogram", "Time that requests took, in milliseconds.")?;
    for (function, counts) in &metrics.counts {
        latency(text, function, counts)?;
    }
    family(text, "queue_messages", "gauge", "Messages of a queue, by state; estimates.")?;
    for (queue, depth) in &metrics.queues {
        for (state, count) in [("waiting", depth.waiting), ("in_flight", depth.in_flight), ("dead", depth.dead)] {
            writeln!(text, "queue_messages{{queue=\"{}\",state=\"{state}\"}} {count}", escaped(queue))?;
        }
    }
    family(text, "circuit_breaker_open", "gauge", "1 while a breaker lets no calls through.")?;
    for (name, breaker) in &metrics.circuit_breakers {
        let open = u8::from(breaker.state == "open");
        writeln!(text, "circuit_breaker_open{{name=\"{}\"}} {open}", escaped(name))?;
    }
    family(text, "circuit_breaker_failures", "gauge", "Failures in a row that a breaker was told of.")?;
    for (name, breaker) in &metrics.circuit_breakers {
        writeln!(text, "circuit_breaker_failures{{name=\"{}\"}} {}", escaped(name), breaker.failures)?;
    }
    family(text, "circuit_breakers_left_out", "gauge", "1 while more breakers fail than are listed.")?;
    writeln!(text, "circuit_breakers_left_out {}", u8::from(metrics.more_circuit_breakers))?;
    family(text, "bulkhead_in_use", "gauge", "Work in hand, by bulkhead.")?;
    for (name, bulkhead) in &metrics.bulkheads {
        writeln!(text, "bulkhead_in_use{{name=\"{}\"}} {}", escaped(name), bulkhead.in_use)?;
    }
    family(text, "poll_lag_ms", "gauge", "How long a poll is overdue, in milliseconds.")?;
    for (source, poll) in &metrics.polls {
        writeln!(text, "poll_lag_ms{{source=\"{}\"}} {}", escaped(source), poll.lag_ms)?;
    }
    partitions(text, metrics)?;
    family(text, "feed_head", "gauge", "The newest number of the organization's change feed.")?;
    writeln!(text, "feed_head {}", metrics.feed.head)?;
    if let Some(lag) = metrics.feed.lag_ms {
        family(text, "feed_lag_ms", "gauge", "How long the newest change waited for its number, in milliseconds.")?;
        writeln!(text, "feed_lag_ms {lag}")?;
    }
    family(text, "uptime_seconds", "gauge", "Seconds since the answering process started.")?;
    writeln!(text, "uptime_seconds {}", metrics.uptime)
}

fn partitions(text: &mut String, metrics: &Metrics) -> fmt::Result {
    let labels = |of: &PartitionBody| format!("{{topic=\"{}\",partition=\"{}\"}}", escaped(&of.topic), of.partition);
    if metrics.kafka.is_empty() {
        return Ok(());
    }
    family(text, "kafka_offset", "gauge", "The newest record that was read, or the first that cannot be settled.")?;
    for of in metrics.kafka.values() {
        writeln!(text, "kafka_offset{} {}", labels(of), of.offset)?;
    }
    family(text, "kafka_stuck", "gauge", "1 while that record cannot be settled.")?;
    for of in metrics.kafka.values() {
        writeln!(text, "kafka_stuck{} {}", labels(of), u8::from(!of.settled))?;
    }
    family(text, "kafka_lag_ms", "gauge", "How long that record waited, in milliseconds.")?;
    for (of, lag_ms) in metrics.kafka.values().filter_map(|of| Some((of, of.lag_ms?))) {
        writeln!(text, "kafka_lag_ms{} {lag_ms}", labels(of))?;
    }
    family(text, "kafka_silent_ms", "gauge", "How long nothing has come from a partition, in milliseconds.")?;
    for of in metrics.kafka.values() {
        writeln!(text, "kafka_silent_ms{} {}", labels(of), of.silent_ms)?;
    }
    Ok(())
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn latency(text: &mut String, function: &str, counts: &Counts) -> fmt::Result {
    let function = escaped(function);
    let of = |class: usize| counts.get(&latency_name(class)).copied().unwrap_or_default();
    let mut so_far: u64 = 0;
    for (class, bound) in LATENCY_BOUNDS_MS.iter().enumerate() {
        so_far = so_far.saturating_add(of(class));
        writeln!(text, "request_latency_ms_bucket{{function=\"{function}\",le=\"{bound}\"}} {so_far}")?;
    }
    let all = so_far.saturating_add(of(LATENCY_BOUNDS_MS.len()));
    let sum = counts.get("latencySumMs").copied().unwrap_or_default();
    writeln!(text, "request_latency_ms_bucket{{function=\"{function}\",le=\"+Inf\"}} {all}")?;
    writeln!(text, "request_latency_ms_sum{{function=\"{function}\"}} {sum}")?;
    writeln!(text, "request_latency_ms_count{{function=\"{function}\"}} {all}")
}

/// A label's value.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_the_names_under_which_they_are_exported() {
        for (ours, theirs, _) in COUNTERS {
            assert_eq!(*theirs, evenstock_runtime::metrics::standard_name(ours));
        }
    }
}
