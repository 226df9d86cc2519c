//! Latencies of the local runner at a steady rate, beside their targets.
//!
//! A request's latency counts from the moment at which it was due, not from the one at which its connection was free: a
//! slow answer is charged with the requests that it held up.

use std::fmt::Write;
use std::time::Duration;

use clap::{Args, ValueEnum};
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::Failure;
use crate::ratio::hundredths;
use crate::runner::{Program, RunnerArgs};
use crate::wire::Wire;

/// Products that are read and written.
const PRODUCTS: u64 = 1_000;

/// Latencies are kept from a microsecond to a minute.
const LONGEST_US: u64 = 60_000_000;

/// What is asked.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mix {
    /// Reads of a level.
    Read,
    /// Updates with a key.
    Write,
    /// Seven reads in ten requests.
    Mixed,
}

/// How much, and for how long.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// What is asked.
    mix: Mix,
    /// Requests a second.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// How long.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Connections that share them.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..))]
    connections: u64,
    #[command(flatten)]
    runner: RunnerArgs,
}

/// What one kind of request came to.
#[derive(Debug)]
struct Tally {
    micros: Histogram<u64>,
    failed: u64,
}

impl Tally {
    fn new() -> Result<Self, Failure> {
        Ok(Self { micros: Histogram::new_with_bounds(1, LONGEST_US, 3)?, failed: 0 })
    }
}

/// Runs and writes the table.
pub(crate) async fn measure(args: &LoadArgs) -> Result<String, Failure> {
    let data = tempfile::tempdir()?;
    let program = Program::find(&args.runner)?;
    let runner = program.start(data.path(), &[]).await?;
    stock(&runner.base).await?;
    let begun = Instant::now();
    let clients =
        (0..args.connections).map(|first| tokio::spawn(client(runner.base.clone(), first, begun, Plan::of(args))));
    let (mut reads, mut writes) = (Tally::new()?, Tally::new()?);
    for ended in try_join_all(clients).await? {
        let [read, written] = ended?;
        for (all, one) in [(&mut reads, read), (&mut writes, written)] {
            all.micros.add(&one.micros)?;
            all.failed += one.failed;
        }
    }
    let took = begun.elapsed();
    let LoadArgs { rate, seconds, connections, .. } = args;
    let mut table = format!("{}\n{rate} requests a second for {seconds} s", program.version().await?);
    let answered = reads.micros.len() + writes.micros.len();
    let per_second = u128::from(answered) * 1_000 / took.as_millis().max(1);
    writeln!(table, " over {connections} connections: {answered} answered, {per_second} a second\n")?;
    writeln!(
        table,
        "{:<5} {:>8} {:>7} {:>9} {:>9} {:>9} {:>9}",
        "ms", "answers", "failed", "p50", "p95", "p99", "max"
    )?;
    row(&mut table, "GET", &reads, 200)?;
    row(&mut table, "POST", &writes, 300)?;
    table.push_str("\nFrom when a request was due to its whole answer, as of this machine at this moment.");
    runner.kill().await?;
    if reads.failed + writes.failed > 0 { Err(table.into()) } else { Ok(table) }
}

fn row(table: &mut String, name: &str, tally: &Tally, target_ms: u64) -> Result<(), Failure> {
    if tally.micros.is_empty() && tally.failed == 0 {
        return Ok(());
    }
    let at = |quantile| tally.micros.value_at_quantile(quantile);
    let [p50, p95, p99, most] = [at(0.5), at(0.95), at(0.99), tally.micros.max()].map(|us| hundredths(us, 1_000));
    let verdict = if at(0.95) < target_ms * 1_000 { "met" } else { "missed" };
    let (answers, failed) = (tally.micros.len(), tally.failed);
    writeln!(
        table,
        "{name:<5} {answers:>8} {failed:>7} {p50:>9} {p95:>9} {p99:>9} {most:>9}  p95 below {target_ms} ms: {verdict}"
    )?;
    Ok(())
}

/// What each connection needs to know of the whole.
#[derive(Debug, Clone, Copy)]
struct Plan {
    mix: Mix,
    rate: u64,
    total: u64,
    step: usize,
}

impl Plan {
    fn of(args: &LoadArgs) -> Self {
        let step = usize::try_from(args.connections).unwrap_or(usize::MAX);
        Self { mix: args.mix, rate: args.rate, total: args.rate.saturating_mul(args.seconds), step }
    }
}

/// Asks what falls to one connection, each request when it is due or as soon as the one before is answered.
async fn client(base: String, first: u64, begun: Instant, plan: Plan) -> Result<[Tally; 2], Failure> {
    let mut wire = Wire::connect(&base).await?;
    let (mut reads, mut writes) = (Tally::new()?, Tally::new()?);
    for n in (first..plan.total).step_by(plan.step) {
        let due = begun + Duration::from_micros(n * 1_000_000 / plan.rate);
        sleep_until(due).await;
        let product = fastrand::u64(0..PRODUCTS);
        let reading = match plan.mix {
            Mix::Read => true,
            Mix::Write => false,
            Mix::Mixed => fastrand::u8(0..10) < 7,
        };
        let (tally, status) = if reading {
            let path = format!("/inventory/SKU-{product}?storeId=main");
            (&mut reads, wire.ask("GET", &path, None, "").await?)
        } else {
            let delta = if fastrand::bool() { 1 } else { -1 };
            let key = format!("load-{n}");
            let body = json!({
                "storeId": "main", "productId": format!("SKU-{product}"), "delta": delta, "version": null,
                "idempotencyKey": key,
            });
            (&mut writes, wire.ask("POST", "/inventory/updates", None, &body.to_string()).await?)
        };
        if status == 200 {
            let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(LONGEST_US);
            tally.micros.saturating_record(micros.max(1));
        } else {
            tally.failed += 1;
        }
    }
    Ok([reads, writes])
}

/// So many units of each product that none runs out.
async fn stock(base: &str) -> Result<(), Failure> {
    let mut wire = Wire::connect(base).await?;
    let products: Vec<_> = (0..PRODUCTS).collect();
    for some in products.chunks(100) {
        let row = |n: &u64| {
            json!({
                "productId": format!("SKU-{n}"), "delta": 1_000_000, "version": 0, "idempotencyKey": format!("stock-{n}"),
            })
        };
        let body = json!({ "storeId": "main", "updates": some.iter().map(row).collect::<Vec<_>>() });
        let status = wire.ask("POST", "/inventory/updates", None, &body.to_string()).await?;
        let answer: serde_json::Value = serde_json::from_slice(wire.body())?;
        if status != 200 || answer.pointer("/summary/failed").and_then(serde_json::Value::as_u64) != Some(0) {
            return Err(format!("the products cannot be stocked: {status} {answer}").into());
        }
    }
    Ok(())
}
