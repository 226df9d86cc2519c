//! Cold starts: what a function's program does from its start to its first answer, counted in instructions.
//!
//! Counts of the same program repeat within a fraction of a percent; milliseconds are this machine's at this moment.

mod cloud;
mod function;
mod program;
mod runtime_api;
mod tls;
mod traffic;

use std::cmp::Reverse;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cloud::Cloud;
use function::{Function, Functions, event, expected};
use program::Run;
use tls::Certificates;
use traffic::Asked;

use crate::Failure;
use crate::ratio::hundredths;

/// Runs under callgrind of which the least counts.
const COUNTS: usize = 3;

/// Further runs, when the machine holds some up so that calls time out and are made again.
const REPEATED_COUNTS_MAX: usize = 6;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Functions, by the names of their folders; all whose programs were built, unless some are named.
    functions: Vec<String>,
    /// Folder with the release builds.
    #[arg(long, default_value = "target/release")]
    programs: PathBuf,
    /// Folder with programs of the same source that were built without the settings of this repository, to compare.
    #[arg(long)]
    default_build: Option<PathBuf>,
    /// Starts without callgrind, for the milliseconds.
    #[arg(long, default_value_t = 20)]
    starts: u32,
    /// Further invocations of a program that runs, for what a warm one costs.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    warm: u32,
}

/// How AWS is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Http,
    Tls,
}

/// Which roots a program trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Roots {
    /// Those that are compiled in, and one for this run.
    Pinned,
    /// All of this machine's, and one for this run.
    System,
}

/// What callgrind counted.
#[derive(Debug, Clone, Copy)]
struct Count {
    instructions: u64,
    asked: Asked,
}

struct Bench {
    functions: Functions,
    programs: PathBuf,
    certificates: Certificates,
    counts: bool,
}

/// Measures and writes the tables.
pub(crate) async fn measure(arguments: &Arguments) -> Result<String, Failure> {
    let bench = Bench {
        functions: Functions::read()?,
        programs: arguments.programs.clone(),
        certificates: Certificates::make().await?,
        counts: program::callgrind_is_here().await,
    };
    let chosen = bench.chosen(&arguments.functions)?;
    let mut text = String::new();
    if !bench.counts {
        text.push_str("valgrind is not installed: no instructions are counted, only sizes and milliseconds.\n\n");
    }
    text.push_str("Counts are millions of instructions; in brackets are calls of AWS / connections.\n\n");
    text.push_str("| function | program MB | zip MB | start | to the first answer, HTTP | the same, TLS | with one call, HTTP / TLS | warm, HTTP | HTTP ms, min / p50 | TLS ms, min / p50 |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
    for function in &chosen {
        text.push_str(&bench.row(function, arguments).await?);
    }
    if let Some(folder) = &arguments.default_build {
        for function in chosen.iter().filter(|function| program::path(folder, &function.name).is_file()) {
            text.push_str(&bench.pair(function, folder, arguments.starts).await?);
        }
    }
    Ok(text)
}

impl Bench {
    fn chosen(&self, names: &[String]) -> Result<Vec<Function>, Failure> {
        let built = |function: &&Function| program::path(&self.programs, &function.name).is_file();
        if names.is_empty() {
            let all: Vec<_> = self.functions.all().filter(built).cloned().collect();
            if all.is_empty() {
                let folder = self.programs.display();
                return Err(format!("no program in {folder}; `cargo build --release` makes them").into());
            }
            return Ok(all);
        }
        let named = names.iter().map(|name| {
            let function = self.functions.all().find(|function| function.name == *name).filter(built);
            function.cloned().ok_or_else(|| format!("evenstock-{name} is not in {}", self.programs.display()).into())
        });
        named.collect()
    }

    async fn row(&self, function: &Function, arguments: &Arguments) -> Result<String, Failure> {
        let program = program::path(&self.programs, &function.name);
        let (bytes, zipped) = program::sizes(&program)?;
        let mut row = format!("| {} | {} | {} |", function.name, millions(bytes)?, millions(zipped)?);
        let start = self.counted(function, &program, Wire::Http, Roots::Pinned, 0).await?;
        write!(row, " {} |", start.map_or_else(|| Ok("-".to_owned()), |count| millions(count.instructions))?)?;
        let first = self.counted(function, &program, Wire::Http, Roots::Pinned, 1).await?;
        let secured = self.counted(function, &program, Wire::Tls, Roots::Pinned, 1).await?;
        write!(row, " {} | {} |", shown(first)?, shown(secured)?)?;
        let one_call =
            start.zip(first).zip(secured).map(|((start, first), secured)| with_one_call(start, first, secured));
        write!(row, " {} |", one_call.unwrap_or_else(|| Ok("-".to_owned()))?)?;
        let many = self.counted(function, &program, Wire::Http, Roots::Pinned, 1 + arguments.warm).await?;
        let warm = many.zip(first).map(|(many, first)| warm(many, first, arguments.warm));
        write!(row, " {} |", warm.unwrap_or_else(|| Ok("-".to_owned()))?)?;
        for wire in [Wire::Http, Wire::Tls] {
            let mut times = Vec::new();
            for _ in 0..arguments.starts {
                times.push(self.run(function, &program, wire, Roots::Pinned, 1, false).await?.0.first_answer);
            }
            write!(row, " {} |", times_of(times))?;
        }
        row.push('\n');
        Ok(row)
    }

    /// Our program and the default build of the same source, over HTTP, and over TLS each with our roots and the
    /// machine's; their starts take turns, so that what else the machine does meets all of them.
    async fn pair(&self, function: &Function, folder: &Path, starts: u32) -> Result<String, Failure> {
        let mut text = format!("\n{}\n\n", function.name);
        text.push_str(
            "| build | AWS over | roots | M instructions | ratio | ms, min / p50 |\n|---|---|---|---|---|---|\n",
        );
        let mut kinds = Vec::new();
        for (wire, roots) in [(Wire::Http, Roots::Pinned), (Wire::Tls, Roots::Pinned), (Wire::Tls, Roots::System)] {
            for (name, folder) in [("ours", self.programs.as_path()), ("default", folder)] {
                kinds.push((name, program::path(folder, &function.name), wire, roots, Vec::new()));
            }
        }
        for _ in 0..starts {
            for (_, program, wire, roots, times) in &mut kinds {
                times.push(self.run(function, program, *wire, *roots, 1, false).await?.0.first_answer);
            }
        }
        let mut best = None;
        for (name, program, wire, roots, times) in kinds {
            let counted = self.counted(function, &program, wire, roots, 1).await?;
            // Ours with our roots comes first of each wire.
            if name == "ours" && roots == Roots::Pinned {
                best = counted;
            }
            let ratio = counted.zip(best).map(|(counted, best)| hundredths(counted.instructions, best.instructions));
            let (counted, ratio) = (shown(counted)?, ratio.unwrap_or_else(|| "-".to_owned()));
            let (wire, roots) = match (wire, roots) {
                (Wire::Http, _) => ("HTTP", "none"),
                (Wire::Tls, Roots::Pinned) => ("TLS", "five"),
                (Wire::Tls, Roots::System) => ("TLS", "the machine's"),
            };
            writeln!(text, "| {name} | {wire} | {roots} | {counted} | {ratio} | {} |", times_of(times))?;
        }
        Ok(text)
    }

    /// The run that took the fewest instructions, of those that nothing held up.
    async fn counted(
        &self,
        function: &Function,
        program: &Path,
        wire: Wire,
        roots: Roots,
        invocations: u32,
    ) -> Result<Option<Count>, Failure> {
        if !self.counts {
            return Ok(None);
        }
        let (mut counts, mut failure) = (Vec::new(), None);
        for _ in 0..COUNTS + REPEATED_COUNTS_MAX {
            match self.run(function, program, wire, roots, invocations, true).await {
                Ok((run, asked)) => counts.extend(run.instructions.map(|instructions| Count { instructions, asked })),
                Err(held_up) => failure = Some(held_up),
            }
            if counts.iter().filter(|count| count.asked.repeated == 0).count() == COUNTS {
                break;
            }
        }
        // One that is held up makes a call again, or gives up before the last.
        let best = |count: &Count| (count.asked.repeated, Reverse(count.asked.calls), count.instructions);
        match (counts.into_iter().min_by_key(best), failure) {
            (None, Some(failure)) => Err(failure),
            (least, _) => Ok(least),
        }
    }

    /// One life of a program, on a table that holds what its event builds on, and what it asked of AWS.
    async fn run(
        &self,
        function: &Function,
        program: &Path,
        wire: Wire,
        roots: Roots,
        invocations: u32,
        counted: bool,
    ) -> Result<(Run, Asked), Failure> {
        let cloud = Cloud::start().await?;
        let plain = format!("http://{}", cloud.address);
        let name = self.functions.event_of(function)?;
        let (before, status) = expected(&name)?;
        for earlier in before {
            let function = self.functions.of_event(&earlier)?;
            let variables = self.functions.environment(function, &cloud.table, &plain);
            let program = program::path(&self.programs, &function.name);
            program::run(&program, &variables, &event(&earlier)?, 1, false).await?;
        }
        let endpoint = match wire {
            Wire::Http => plain,
            Wire::Tls => {
                format!("https://{}", self.certificates.serve(cloud.address.clone(), Arc::clone(&cloud.traffic)).await?)
            }
        };
        let mut variables = self.functions.environment(function, &cloud.table, &endpoint);
        let trusted = match roots {
            Roots::Pinned => self.certificates.pinned_roots().await?,
            Roots::System => self.certificates.system_roots().await?,
        };
        variables.push(("SSL_CERT_FILE".to_owned(), trusted.display().to_string()));
        cloud.traffic.take();
        let run = program::run(program, &variables, &event(&name)?, invocations, counted).await;
        let run = run.map_err(|error| format!("{} {wire:?}: {error}", function.name))?;
        if invocations > 0 && run.answer.get("statusCode") != status.as_ref() {
            return Err(format!("{} answered {}", function.name, run.answer).into());
        }
        Ok((run, cloud.traffic.take()))
    }
}

/// A count as a cell of a table.
fn shown(count: Option<Count>) -> Result<String, Failure> {
    let Some(Count { instructions, asked }) = count else {
        return Ok("-".to_owned());
    };
    Ok(format!("{} ({asked})", millions(instructions)?))
}

/// The first answer, had the program made one call of AWS instead of its several: its start and one share of the rest.
/// TLS is added whole, because there is one handshake however many calls.
fn with_one_call(start: Count, first: Count, secured: Count) -> Result<String, Failure> {
    let rest = first.instructions.saturating_sub(start.instructions) / u64::from(first.asked.calls.max(1));
    let (plain, tls) = (start.instructions + rest, secured.instructions.saturating_sub(first.instructions));
    Ok(format!("{} / {}", millions(plain)?, millions(plain + tls)?))
}

/// What one of `times` further invocations did: by the difference between many and one.
fn warm(many: Count, first: Count, times: u32) -> Result<String, Failure> {
    let instructions = many.instructions.saturating_sub(first.instructions) / u64::from(times);
    let calls = hundredths(many.asked.calls.saturating_sub(first.asked.calls).into(), times.into());
    Ok(format!("{} ({calls})", millions(instructions)?))
}

/// In millions, with two digits, without floating point.
fn millions(number: impl TryInto<u64>) -> Result<String, Failure> {
    let number = number.try_into().map_err(|_| "a number is too large")?;
    Ok(hundredths(number, 1_000_000))
}

/// The least time and the median.
fn times_of(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let shown = |time: Option<&Duration>| {
        time.map_or_else(
            || "-".to_owned(),
            |time| hundredths(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), 1000),
        )
    };
    format!("{} / {}", shown(times.first()), shown(times.get(times.len() / 2)))
}
