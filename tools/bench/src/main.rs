//! `evenstock-bench`: what operations cost, in counts that do not depend on the machine; and how long a change takes to a
//! shop, which does.

mod coldstart;
mod cost;
mod growth;
mod hot;
mod lag;
mod load;
mod local;
mod meter;
mod outside;
mod parts;
mod prices;
mod product;
mod ratio;
mod runner;
mod soak;
mod wire;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hot::Contest;
use parts::Part;

/// Why a measurement could not be made.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Counts what Evenstock's operations cost on an embedded DynamoDB.
#[derive(Debug, Parser)]
#[command(name = "evenstock-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What each operation of the product costs: calls of AWS, capacity units, round trips, dollars.
    Cost {
        /// Some parts only.
        #[arg(long, value_delimiter = ',')]
        parts: Vec<cost::Part>,
    },
    /// What operations cost while one table grows.
    Growth {
        /// SKUs in the table, ascending.
        #[arg(long, value_delimiter = ',', default_values_t = [100, 10_000, 1_000_000])]
        sizes: Vec<u64>,
    },
    /// Many writers on one SKU: ours beside read-version-write and a transaction of three items, on the same table.
    Hot {
        /// Writers at a time.
        #[arg(long, default_value_t = 64)]
        writers: u32,
        /// Requests that each of them makes, one after the other.
        #[arg(long, default_value_t = 10)]
        requests: u32,
        /// Tries after which the other two give a request up.
        #[arg(long, default_value_t = 10)]
        tries: u32,
    },
    /// From a write at the centre to its sight at a store node and at a reader of the feed, both by long poll.
    Lag {
        /// Writes, one after the other.
        #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
        writes: u32,
    },
    /// From a function's start to its first answer: instructions, milliseconds, and the size of its package.
    Coldstart(coldstart::Arguments),
    /// The local runner: its start, its memory, and webhooks a second beside PostgreSQL when `PGHOST` is set.
    Local(local::LocalArgs),
    /// The local runner's latencies at a steady rate, beside their targets.
    Load(load::LoadArgs),
    /// The local runner under mixed load, killed at random; everything is audited at the end.
    Soak(soak::SoakArgs),
}

fn main() -> ExitCode {
    match Part::of_this_process() {
        Some(Part::Centre) => evenstock_local::run(),
        Some(Part::Node) => evenstock_store_node::run(),
        None => measure(),
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the result is what this program is for")]
fn measure() -> ExitCode {
    let command = Cli::parse().command;
    let measured = async {
        match command {
            Command::Cost { parts } => cost::table(&parts).await,
            Command::Growth { sizes } => growth::table(&sizes).await,
            Command::Hot { writers, requests, tries } => hot::contest(Contest { writers, requests, tries }).await,
            Command::Lag { writes } => lag::race(writes).await,
            Command::Coldstart(arguments) => coldstart::measure(&arguments).await,
            Command::Local(args) => local::measure(&args).await,
            Command::Load(args) => load::measure(&args).await,
            Command::Soak(args) => soak::run(&args).await,
        }
    };
    let runtime = tokio::runtime::Runtime::new();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(measured)) {
        Ok(table) => {
            println!("{table}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("evenstock-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
