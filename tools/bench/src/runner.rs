//! The local runner as a process of its own: found, started on a folder, killed.
//!
//! Must not know what is asked of it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use crate::Failure;
use crate::parts::{Part, command};

const NAME: &str = "evenstock-local";

/// After which a process that is not ready counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which runner is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunnerArgs {
    /// The program; else `evenstock-local` beside this one, else the same code inside this one.
    #[arg(long)]
    runner: Option<PathBuf>,
    /// The same code inside this program, whatever lies beside it.
    #[arg(long, conflicts_with = "runner")]
    inside: bool,
}

/// The program that is started again and again.
#[derive(Debug, Clone)]
pub(crate) struct Program(Option<PathBuf>);

impl Program {
    /// Finds it.
    pub(crate) fn find(args: &RunnerArgs) -> Result<Self, Failure> {
        if args.inside || args.runner.is_some() {
            return Ok(Self(args.runner.clone()));
        }
        let own = std::env::current_exe()?;
        Ok(Self(own.parent().map(|folder| folder.join(NAME)).filter(|path| path.is_file())))
    }

    fn command(&self) -> Result<Command, Failure> {
        let Self(Some(path)) = self else { return command(Part::Centre) };
        let mut command = Command::new(path);
        command.env_clear().env("LOG_LEVEL", "error");
        command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped());
        Ok(command)
    }

    /// What it is and how it was built, in its own words.
    pub(crate) async fn version(&self) -> Result<String, Failure> {
        let output = self.command()?.arg("--version").output().await?;
        let own = if self.0.is_none() { ", inside evenstock-bench" } else { "" };
        Ok(format!("{}{own}", String::from_utf8(output.stdout)?.trim()))
    }

    /// Starts it on a folder, with these settings beside those that lift the limits of a single key.
    pub(crate) async fn start(&self, data: &Path, settings: &[(&str, &str)]) -> Result<Runner, Failure> {
        let mut command = self.command()?;
        command.arg("--data").arg(data).args(["--port", "0"]);
        command.env("RATE_LIMIT_RPS", "1000000").env("RATE_LIMIT_BURST", "1000000").envs(settings.iter().copied());
        let begun = Instant::now();
        let mut process = command.spawn()?;
        let output = process.stdout.take().ok_or("the runner has no output")?;
        let mut lines = BufReader::new(output).lines();
        let line = timeout(PATIENCE, lines.next_line()).await??.ok_or("the runner ended at its start")?;
        let ready_in = begun.elapsed();
        let base = line.strip_prefix("ready ").ok_or("the runner did not say where it serves")?.to_owned();
        Ok(Runner { process, base, ready_in })
    }
}

/// A runner that runs. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Runner {
    process: Child,
    /// Where it serves: `http://127.0.0.1:PORT`.
    pub(crate) base: String,
    /// From its spawn to its word that it is ready.
    pub(crate) ready_in: Duration,
}

impl Runner {
    /// SIGKILL; returns when it is gone.
    pub(crate) async fn kill(mut self) -> Result<(), Failure> {
        Ok(self.process.kill().await?)
    }

    /// A line of the kernel's account of the process's memory, in KiB: `VmRSS` all, `RssAnon` its own. `None` where there
    /// is no such account.
    pub(crate) fn memory_kib(&self, line: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()?)).ok()?;
        let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))?;
        value.split_whitespace().next()?.parse().ok()
    }
}
