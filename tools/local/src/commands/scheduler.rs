//! `scheduler`: calls the scheduler of a running instance now, instead of at its next minute.

use std::io::{Write, stdout};
use std::time::Duration;

use clap::Args;

use super::{Api, ApiArgs, CommandError};

/// How often.
#[derive(Debug, Clone, Args)]
pub(crate) struct SchedulerArgs {
    /// Call it once and end; so it is without an option too.
    #[arg(long, conflicts_with = "loop")]
    once: bool,
    /// Call it again and again until Ctrl-C.
    #[arg(long)]
    r#loop: bool,
    /// Seconds between two calls of the loop.
    #[arg(long, env = "SYNC_SCHEDULER_INTERVAL_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    interval_seconds: u64,
    #[command(flatten)]
    api: ApiArgs,
}

/// Calls the scheduler and prints its report, one JSON line a call. `false` when a call failed.
pub(crate) async fn scheduler(args: &SchedulerArgs) -> Result<bool, CommandError> {
    let api = Api::new(&args.api);
    loop {
        let (status, report) = api.send(reqwest::Method::POST, "/local/schedules/SchedulerFunction", &[], None).await?;
        writeln!(stdout().lock(), "{report}")?;
        if !args.r#loop {
            return Ok(status.is_success());
        }
        tokio::time::sleep(Duration::from_secs(args.interval_seconds)).await;
    }
}
