//! The local runner under a name that this package's tests can start: `cargo test` builds it before they run.

fn main() -> std::process::ExitCode {
    evenstock_local::run()
}
