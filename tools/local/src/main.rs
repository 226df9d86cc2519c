//! `evenstock-local`: the whole product in one process.

fn main() -> std::process::ExitCode {
    evenstock_local::run()
}
