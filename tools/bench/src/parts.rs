//! The centre and a store node as processes of their own. This program is each of them, when it is told so: so both are
//! there, and of the same build.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Failure;

/// Tells a process which part it is.
const PART: &str = "EVENSTOCK_BENCH_PART";

/// What a process of this program may be beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The whole product.
    Centre,
    /// A shop's node.
    Node,
}

impl Part {
    /// The part that this process was told to be.
    #[expect(clippy::disallowed_methods, reason = "what the one process tells the other")]
    pub(crate) fn of_this_process() -> Option<Self> {
        [Self::Centre, Self::Node].into_iter().find(|part| std::env::var(PART).is_ok_and(|name| name == part.name()))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Centre => "centre",
            Self::Node => "node",
        }
    }
}

/// A part that runs. Dropped, it is killed.
pub(crate) struct Running {
    _process: Child,
    /// Where it serves.
    pub(crate) base: String,
}

impl Running {
    /// A centre that keeps nothing.
    pub(crate) async fn centre() -> Result<Self, Failure> {
        let mut command = command(Part::Centre)?;
        command.args(["--ephemeral", "--port", "0"]).env("RATE_LIMIT_RPS", "100000").env("RATE_LIMIT_BURST", "100000");
        Self::start(command).await
    }

    /// The node of `store` with its copy in `data`.
    pub(crate) async fn node(centre: &Self, store: &str, data: &Path) -> Result<Self, Failure> {
        let mut command = command(Part::Node)?;
        command.env("CENTRAL_URL", &centre.base).env("STORE_ID", store).env("DATA_DIR", data).env("PORT", "0");
        Self::start(command).await
    }

    async fn start(mut command: Command) -> Result<Self, Failure> {
        let mut process = command.spawn()?;
        let output = process.stdout.take().ok_or("a part has no output")?;
        let line = BufReader::new(output).lines().next_line().await?.ok_or("a part ended at its start")?;
        let base = line.strip_prefix("ready ").ok_or("a part did not say where it serves")?.to_owned();
        Ok(Self { _process: process, base })
    }
}

/// A process of this program, not started yet.
pub(crate) fn command(part: Part) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env_clear().env(PART, part.name()).env("LOG_LEVEL", "error");
    command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command)
}
