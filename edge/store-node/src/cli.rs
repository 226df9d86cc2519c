//! The command line. What goes wrong at start is one line on stderr and exit code 2.

use std::process::ExitCode;

use clap::Parser;

use crate::serve;
use crate::settings::Options;
use crate::telemetry::Telemetry;

/// Runs until Ctrl-C or SIGTERM.
pub fn run() -> ExitCode {
    let options = Options::parse();
    let telemetry = match Telemetry::start(&options.otlp, &options.log_level) {
        Ok(telemetry) => telemetry,
        Err(error) => return fail(&error),
    };
    let settings = match options.read() {
        Ok(settings) => settings,
        Err(error) => return fail(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(serve::serve(settings, &telemetry)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[expect(clippy::print_stderr, reason = "the one line that says why nothing runs")]
fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("evenstock-store-node: {}", with_causes(error).replace('\n', " "));
    ExitCode::from(2)
}

/// An error and what caused it, on one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        line = format!("{line}: {next}");
        cause = next.source();
    }
    line
}
