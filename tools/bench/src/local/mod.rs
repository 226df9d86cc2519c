//! The local runner: how fast it is there, what it takes at rest, how many webhooks it takes and applies a second; and
//! PostgreSQL on the same machine in the same run, because a figure alone says more of the machine than of the program.

mod postgres;
mod webhooks;

use std::fmt::Write;
use std::time::Duration;

use clap::Args;
use evenstock_app::Clock;
use evenstock_runtime::{Environment, SystemClock};
use tokio::time::sleep;

use crate::Failure;
use crate::ratio::hundredths;
use crate::runner::{Program, RunnerArgs};

/// Starts that are timed.
const STARTS: usize = 11;

/// After which a runner without work is at rest.
const REST: Duration = Duration::from_secs(5);

/// Products and connections of each load.
const SHAPES: [(u64, u64); 4] = [(1, 1), (1, 32), (1_000, 1), (1_000, 32)];

/// How long.
#[derive(Debug, Args)]
pub(crate) struct LocalArgs {
    /// How long each load takes.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    #[command(flatten)]
    runner: RunnerArgs,
}

/// What one load came to.
#[derive(Debug)]
pub(crate) struct Rate {
    /// Things that were done.
    done: u64,
    /// In this time.
    took: Duration,
}

impl Rate {
    fn per_second(&self) -> u64 {
        let millis = self.took.as_millis().max(1);
        u64::try_from(u128::from(self.done) * 1_000 / millis).unwrap_or(u64::MAX)
    }
}

/// Measures and writes the tables.
pub(crate) async fn measure(args: &LocalArgs) -> Result<String, Failure> {
    let program = Program::find(&args.runner)?;
    let environment = Environment::of_process();
    let cores = std::thread::available_parallelism()?;
    let busy = || std::fs::read_to_string("/proc/loadavg").unwrap_or_else(|_| "unknown".to_owned());
    let mut table = format!("{} on {cores} cores, {}\n", program.version().await?, SystemClock.now());
    writeln!(table, "load of the machine before: {}", busy().trim())?;
    start(&program, &mut table).await?;

    writeln!(table, "\nwebhooks: acknowledged when they are on disk, applied when the queue is empty; then audited")?;
    writeln!(
        table,
        "{:>8} {:>11} {:>8} {:>14} {:>10} {:>10} {:>10} {:>16}",
        "products", "connections", "taken", "acknowledged/s", "applied/s", "changes", "outdated", "PostgreSQL tx/s"
    )?;
    for (products, connections) in SHAPES {
        let taken = webhooks::load(&program, products, connections, args.seconds).await?;
        let reference = match postgres::settings(&environment)? {
            Some(settings) => Some(postgres::load(&settings, products, connections, args.seconds).await?),
            None => None,
        };
        let beside = reference.map_or_else(|| "PGHOST not set".to_owned(), |rate| against(&rate, &taken.acknowledged));
        writeln!(
            table,
            "{products:>8} {connections:>11} {:>8} {:>14} {:>10} {:>10} {:>10} {beside:>16}",
            taken.acknowledged.done,
            taken.acknowledged.per_second(),
            taken.applied.per_second(),
            taken.changes,
            taken.outdated,
        )?;
    }
    writeln!(table, "\nload of the machine after: {}", busy().trim())?;
    table.push_str("changes + outdated = taken: a count that was overtaken by a newer one changes nothing.");
    Ok(table)
}

/// A rate, and how many times it ours is.
fn against(theirs: &Rate, ours: &Rate) -> String {
    format!("{} (x{})", theirs.per_second(), hundredths(ours.per_second(), theirs.per_second()))
}

async fn start(program: &Program, table: &mut String) -> Result<(), Failure> {
    let (mut fresh, mut again) = (Vec::new(), Vec::new());
    let mut memory = None;
    for n in 1..=STARTS {
        let data = tempfile::tempdir()?;
        let first = program.start(data.path(), &[]).await?;
        fresh.push(first.ready_in.as_millis());
        first.kill().await?;
        let second = program.start(data.path(), &[]).await?;
        again.push(second.ready_in.as_millis());
        if n == STARTS {
            sleep(REST).await;
            memory = second.memory_kib("VmRSS").zip(second.memory_kib("RssAnon"));
        }
        second.kill().await?;
    }
    for (name, mut times) in [("a new folder", fresh), ("a folder that is there", again)] {
        times.sort_unstable();
        let at = |place: usize| times.get(place).copied().unwrap_or_default();
        let (least, median, most) = (at(0), at(STARTS / 2), at(STARTS - 1));
        writeln!(table, "spawn to ready on {name}: {least} ms at best, {median} ms median, {most} ms at worst")?;
    }
    match memory {
        Some((all, own)) => writeln!(table, "at rest after {REST:?}: {all} KiB resident, {own} KiB of it its own")?,
        None => writeln!(table, "at rest: this system does not tell a process's memory")?,
    }
    Ok(())
}
