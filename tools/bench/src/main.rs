//! `evenstock-bench`: what operations cost, in counts that do not depend on the machine.

mod counted;
mod hot;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
}

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the result is what this program is for")]
async fn main() -> ExitCode {
    let Command::Hot { writers, requests } = Cli::parse().command;
    match hot::contest(writers, requests).await {
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
