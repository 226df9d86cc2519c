//! A function's program as a process: natively, or counted by callgrind; and how large its package is.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::runtime_api::RuntimeApi;
use crate::Failure;

/// After which a program counts as stuck. Callgrind makes it slow.
const PATIENCE: Duration = Duration::from_secs(240);

/// A zip of one file adds this much to what deflate leaves: two headers with the name `bootstrap` and the directory's end.
const ZIP_FRAME_BYTES: usize = 30 + 9 + 46 + 9 + 22;

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Run {
    /// From the start of the process to its first answer; zero without events.
    pub(crate) first_answer: Duration,
    /// Instructions from the start of the process until it waited for an event that did not come, when they were counted.
    pub(crate) instructions: Option<u64>,
    /// The last answer.
    pub(crate) answer: Value,
}

/// Whether callgrind is here.
pub(crate) async fn callgrind_is_here() -> bool {
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    version.is_ok_and(|status| status.success())
}

/// Runs `program` with `variables` and gives it `event`, `invocations` times.
pub(crate) async fn run(
    program: &Path,
    variables: &[(String, String)],
    event: &Value,
    invocations: u32,
    counted: bool,
) -> Result<Run, Failure> {
    let api = RuntimeApi::start(event, invocations).await?;
    let folder = tempfile::tempdir()?;
    let counts = folder.path().join("callgrind.out");
    let mut command = if counted { under_callgrind(program, &counts) } else { Command::new(program) };
    command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
    command.env("AWS_LAMBDA_RUNTIME_API", &api.address).env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null());
    let begun = Instant::now();
    let process = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
    let answers = api.finished(PATIENCE).await?;
    // The program has asked for more and is about to wait.
    sleep(Duration::from_millis(if counted { 300 } else { 0 })).await;
    terminate(process).await?;
    let instructions = if counted { Some(total(&tokio::fs::read_to_string(&counts).await?)?) } else { None };
    let first_answer = answers.first().map_or(Duration::ZERO, |(at, _)| at.saturating_duration_since(begun));
    let answer = answers.into_iter().next_back().map(|(_, answer)| answer).unwrap_or_default();
    Ok(Run { first_answer, instructions, answer })
}

fn under_callgrind(program: &Path, counts: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(program);
    command
}

/// Ends a process so that callgrind still writes what it counted.
async fn terminate(mut process: Child) -> Result<(), Failure> {
    let id = process.id().ok_or("the program ended by itself")?;
    let sent = Command::new("kill").arg(id.to_string()).status().await?;
    if !sent.success() {
        return Err("the program cannot be ended".into());
    }
    process.wait().await?;
    Ok(())
}

/// The total of a callgrind file.
fn total(counts: &str) -> Result<u64, Failure> {
    let line = counts.lines().find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")));
    Ok(line.ok_or("callgrind counted nothing")?.trim().parse()?)
}

/// Bytes of the program, and of a zip of it.
pub(crate) fn sizes(program: &Path) -> Result<(usize, usize), Failure> {
    let bytes = std::fs::read(program)?;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    Ok((bytes.len(), encoder.finish()?.len() + ZIP_FRAME_BYTES))
}

/// A function's program in a folder of release builds.
pub(crate) fn path(folder: &Path, function: &str) -> PathBuf {
    folder.join(format!("evenstock-{function}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_read_from_what_callgrind_writes() {
        assert_eq!(total("# callgrind format\nevents: Ir\nfn=(1)\n0 12\n\ntotals: 4213913\n").unwrap(), 4_213_913);
        assert!(total("events: Ir\n").is_err());
    }
}
