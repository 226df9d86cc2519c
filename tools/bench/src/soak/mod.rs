//! Endurance: mixed load on the local runner, which is killed at random and started again on its folder; at the end
//! everything that it said is held against everything that it kept.
//!
//! Owns the course of a run. A violation makes the command fail.

mod audit;
mod clients;
mod reservations;
mod site;
mod watch;
mod world;

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use fastrand::Rng;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::Failure;
use crate::runner::{Program, Runner, RunnerArgs};
use site::Site;
use watch::{Calls, Feed};
use world::World;

/// Sweeps each second, and calls back so patiently that no receiver outlasts it.
const SETTINGS: [(&str, &str); 2] =
    [("SWEEP_INTERVAL_SECONDS", "1"), ("CALLBACK_RETRY_SCHEDULE", "1s,1s,1s,1s,1s,1s,1s,1s,2s,2s,4s,4s,8s,8s,15s,15s")];

/// How it runs.
#[derive(Debug, Args)]
pub(crate) struct SoakArgs {
    /// How long there is load.
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// The same in seconds, for a short one.
    #[arg(long, conflicts_with = "minutes")]
    seconds: Option<u64>,
    /// How often the runner is killed; four times a minute unless given.
    #[arg(long)]
    kills: Option<u64>,
    /// Decides what is sent and when the runner is killed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    runner: RunnerArgs,
}

/// Runs and audits; the report.
///
/// # Errors
/// When something does not run, or the audit finds a violation: then with the report.
pub(crate) async fn run(args: &SoakArgs) -> Result<String, Failure> {
    let program = Program::find(&args.runner)?;
    let length = Duration::from_secs(args.seconds.unwrap_or_else(|| args.minutes.saturating_mul(60)));
    let kills = args.kills.unwrap_or(length.as_secs() / 15);
    let data = tempfile::tempdir()?;
    let calls = Arc::new(Calls::default());
    let receiver = watch::receive_calls(Arc::clone(&calls), args.seed).await?;
    let runner = program.start(data.path(), &SETTINGS).await?;
    let (site, base) = Site::new(Some(runner.base.clone()))?;
    let endpoint = json!({ "organizationId": "demo", "event": "stock.changed", "targetUrl": receiver });
    site.ask("POST", "/webhooks/register", Some(&endpoint)).await?.expect(200)?;

    let world = Arc::new(World::default());
    let feed = Arc::new(Feed::default());
    let follower = tokio::spawn(watch::follow_feed(site.clone(), Arc::clone(&feed)));
    let mut load = JoinSet::new();
    clients::start(&mut load, &site, &world, args.seed);
    let mut course = Course { program, base, most_kib: 0, slowest: Duration::ZERO, killed: 0 };
    let runner = course.run(runner, data.path(), length, kills, args.seed, &world).await?;
    world.stop();
    while let Some(ended) = load.join_next().await {
        ended??;
    }

    let mut report = format!("{} s, {} kills, seed {}\n", length.as_secs(), course.killed, args.seed);
    writeln!(report, "runner: {}", course.program.version().await?)?;
    writeln!(report, "slowest restart: {} ms, most memory: {} KiB", course.slowest.as_millis(), course.most_kib)?;
    let violations = audit::audit(&site, &world, &feed, &calls, &mut report).await?;
    follower.abort();
    runner.kill().await?;
    if violations.is_empty() {
        report.push_str("violations: none");
        return Ok(report);
    }
    writeln!(report, "violations: {}", violations.len())?;
    violations.iter().take(50).for_each(|violation| report.extend(["  ", violation, "\n"]));
    Err(report.into())
}

/// The run's outer course: when the runner is killed, and what was seen of it.
struct Course {
    program: Program,
    base: tokio::sync::watch::Sender<Option<String>>,
    most_kib: u64,
    slowest: Duration,
    killed: u64,
}

impl Course {
    async fn run(
        &mut self,
        mut runner: Runner,
        data: &std::path::Path,
        length: Duration,
        kills: u64,
        seed: u64,
        world: &World,
    ) -> Result<Runner, Failure> {
        let mut random = Rng::with_seed(seed);
        let begun = Instant::now();
        let length_ms = u64::try_from(length.as_millis())?;
        let mut times: Vec<_> = (0..kills).map(|_| random.u64(length_ms / 20..=length_ms / 20 * 19)).collect();
        times.sort_unstable();
        for time in times {
            sleep_until(begun + Duration::from_millis(time)).await;
            self.most_kib = self.most_kib.max(runner.memory_kib("VmRSS").unwrap_or_default());
            self.base.send_replace(None);
            runner.kill().await?;
            sleep(Duration::from_millis(random.u64(0..300))).await;
            runner = self.program.start(data, &SETTINGS).await?;
            self.base.send_replace(Some(runner.base.clone()));
            self.slowest = self.slowest.max(runner.ready_in);
            self.killed += 1;
            tell(begun, self.killed, world);
        }
        sleep_until(begun + length).await;
        self.most_kib = self.most_kib.max(runner.memory_kib("VmRSS").unwrap_or_default());
        Ok(runner)
    }
}

#[expect(clippy::print_stderr, reason = "somebody may want to see that it goes on")]
fn tell(begun: Instant, kills: u64, world: &World) {
    eprintln!("{} s: {kills} kills, {} answers", begun.elapsed().as_secs(), world.answers());
}
