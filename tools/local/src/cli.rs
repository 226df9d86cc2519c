//! The command line. What goes wrong at start is one line on stderr and exit code 2.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use evenstock_runtime::{Environment, LogFormat, init_logs, start_telemetry};

use crate::commands::{
    ApiArgs, DlqArgs, FlowArgs, KeysArgs, ProduceArgs, ReceiverArgs, SchedulerArgs, SmokeArgs, demo, dlq, keys,
    produce, receiver, scheduler, smoke,
};
use crate::serve::{self, Settings};

/// Says how it was built, too: whoever measures must know.
const VERSION: &str = if cfg!(debug_assertions) {
    concat!(env!("CARGO_PKG_VERSION"), " (debug)")
} else {
    concat!(env!("CARGO_PKG_VERSION"), " (release)")
};

/// Evenstock on this machine: everything in one process.
///
/// Also reads the environment that the functions read: `MARKETPLACE_A_SECRET` (secret), `MARKETPLACE_B_API`,
/// `MARKETPLACE_B_API_KEY` (test-key), `POLL_INTERVAL_SECONDS` (300), `SWEEP_INTERVAL_SECONDS` (60), `LOG_LEVEL` (info).
#[derive(Debug, Parser)]
#[command(name = "evenstock-local", version = VERSION)]
struct Cli {
    /// Port on 127.0.0.1; 0 picks a free one.
    #[arg(long, env = "PORT", default_value_t = 3000)]
    port: u16,
    /// Folder that keeps the stock and the queues.
    #[arg(long, default_value = ".evenstock", conflicts_with = "ephemeral")]
    data: PathBuf,
    /// Keep nothing.
    #[arg(long)]
    ephemeral: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What else it can do than run.
#[derive(Debug, Subcommand)]
enum Command {
    /// Walk through registration, import and callbacks on a running instance.
    Demo {
        #[command(flatten)]
        api: ApiArgs,
        #[command(flatten)]
        flow: FlowArgs,
    },
    /// Check an instance from outside; starts one unless `BASE_URL` names it. Exit code 1 when a check fails.
    Smoke(SmokeArgs),
    /// Be an endpoint that is called back: check signatures, print deliveries.
    Receiver(ReceiverArgs),
    /// Give changes of warehouses to a running instance, one JSON envelope a line.
    Produce(ProduceArgs),
    /// Make, list and withdraw API keys of a running instance.
    Keys(KeysArgs),
    /// Call the scheduler of a running instance now.
    Scheduler(SchedulerArgs),
    /// Show the dead letters of a running instance, or give them back.
    Dlq(DlqArgs),
}

/// Runs until Ctrl-C or SIGTERM, or until the command is done.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let environment = Environment::of_process();
    // The emulator warns of every condition that is not met, which is our daily bread.
    let level = environment.optional("LOG_LEVEL").unwrap_or("info");
    let (level, format) = (format!("{level},dynoxide=error"), LogFormat::Text);
    // Commands speak to a running instance, which tells what it does by itself.
    if cli.command.is_some() {
        init_logs(&level, format);
    } else if let Err(error) = start_telemetry(&environment, "evenstock-local", &level, format) {
        return fail(&error);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let done = match cli.command {
        None => {
            let settings = Settings { port: cli.port, data: (!cli.ephemeral).then_some(cli.data), environment };
            return match runtime.block_on(serve::serve(settings)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error),
            };
        }
        Some(Command::Demo { api, flow }) => runtime.block_on(demo(&api, &flow)),
        Some(Command::Smoke(args)) => runtime.block_on(smoke(&args)),
        Some(Command::Receiver(args)) => runtime.block_on(receiver(&args)),
        Some(Command::Produce(args)) => runtime.block_on(produce(&args)),
        Some(Command::Keys(args)) => runtime.block_on(keys(&args)),
        Some(Command::Scheduler(args)) => runtime.block_on(scheduler(&args)),
        Some(Command::Dlq(args)) => runtime.block_on(dlq(&args)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    }
}

#[expect(clippy::print_stderr, reason = "the one line that says why nothing runs")]
fn fail(error: &dyn std::error::Error) -> ExitCode {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        line = format!("{line}: {next}");
        cause = next.source();
    }
    eprintln!("evenstock-local: {}", line.replace('\n', " "));
    ExitCode::from(2)
}
