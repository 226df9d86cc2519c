//! `produce`: gives a file of messages to a queue of a running instance, one a line: changes of warehouses, as a topic
//! would, or any other queue's, as AWS's own command line does.

use std::io::{Write, stdout};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Api, ApiArgs, CommandError};

/// Lines of one request.
const LINES_AT_ONCE: usize = 100;

/// Which messages.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProduceArgs {
    /// The file: one message a line; of a warehouse's changes, `null` for a tombstone.
    file: PathBuf,
    /// The queue.
    #[arg(long, default_value = "warehouse-events")]
    queue: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// Queues the messages and prints how many there were. `false` when some were not taken.
pub(crate) async fn produce(args: &ProduceArgs) -> Result<bool, CommandError> {
    let api = Api::new(&args.api);
    let text = std::fs::read_to_string(&args.file)?;
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut queued = 0;
    for part in lines.chunks(LINES_AT_ONCE) {
        let path = format!("/local/queues/{}", args.queue);
        let (status, answer) = api.send(reqwest::Method::POST, &path, &[], Some(part.join("\n"))).await?;
        if !status.is_success() {
            writeln!(stdout().lock(), "{answer}")?;
            return Ok(false);
        }
        queued += part.len();
    }
    writeln!(stdout().lock(), "{}", json!({ "queued": queued }))?;
    Ok(true)
}
