//! The soak command, short: it loads, kills, audits, and finds nothing.
#![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

use std::process::Command;

#[test]
fn short_soak_with_two_kills_finds_no_violation() {
    let mut soak = Command::new(env!("CARGO_BIN_EXE_evenstock-bench"));
    let output = soak.args(["soak", "--seconds", "15", "--kills", "2", "--seed", "7", "--inside"]).output().unwrap();
    let (report, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{report}{error}");
    assert!(report.contains("15 s, 2 kills, seed 7"), "{report}");
    assert!(report.contains("violations: none"), "{report}");
    for happened in
        ["update with key      applied", "webhook              acknowledged", "reservation at end   expired"]
    {
        assert!(report.contains(happened), "{happened} is not in\n{report}");
    }
}
