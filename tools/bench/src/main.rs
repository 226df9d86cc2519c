//! `evenstock-bench`: what operations cost, in counts that do not depend on the machine; and how long a change takes to a
//! shop, which does.

mod counted;
mod hot;
mod lag;
mod load;
mod local;
mod parts;
mod runner;
mod soak;
mod wire;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use parts::Part;

/// Counts what Evenstock's operations cost on an embedded DynamoDB.
#[derive(Debug, Parser)]
#[command(name = "evenstock-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Many writers on one SKU: our one conditional write beside read-version-write on the same table.
    Hot {
        /// Writers at a time.
        #[arg(long, default_value_t = 64)]
        writers: u32,
        /// Requests that each of them makes, one after the other.
        #[arg(long, default_value_t = 10)]
        requests: u32,
    },
    /// From a write at the centre to its sight at a store node and at a reader of the feed, both by long poll.
    Lag {
        /// Writes, one after the other.
        #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
        writes: u32,
    },
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
            Command::Hot { writers, requests } => hot::contest(writers, requests).await,
            Command::Lag { writes } => lag::race(writes).await,
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
