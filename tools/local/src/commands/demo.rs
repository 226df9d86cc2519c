//! `demo`: the endpoint flow of document 2 against a running instance, for people to read.

use std::io::{Write, stdout};

use super::flow::{Step, flow};
use super::{Api, ApiArgs, CommandError, FlowArgs};

/// Runs the flow and prints every step. `false` when a step was not answered with 200.
pub(crate) async fn demo(api: &ApiArgs, args: &FlowArgs) -> Result<bool, CommandError> {
    // Registration, status, three callbacks and their list; one more for each receipt.
    let total = args.receipts.len() + 6;
    let mut number = 0;
    let mut printed = Ok(());
    let steps = flow(&Api::new(api), args, |step| {
        number += 1;
        if printed.is_ok() {
            printed = print(number, total, step);
        }
    })
    .await?;
    printed?;
    let failed = steps.iter().filter(|step| !step.status.is_success()).count() + (total - steps.len());
    let mut out = stdout().lock();
    match failed {
        0 => writeln!(out, "\nAll {total} steps were answered.")?,
        _ => writeln!(out, "\n{failed} of {total} steps failed or could not be taken.")?,
    }
    Ok(failed == 0)
}

fn print(number: usize, total: usize, step: &Step) -> std::io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "[{number}/{total}] {} ({}) -> {}", step.call, step.about, step.status.as_u16())?;
    let mut answer = step.answer.clone();
    hide_secrets(&mut answer);
    for line in serde_json::to_string_pretty(&answer)?.lines() {
        writeln!(out, "      {line}")?;
    }
    out.flush()
}

/// A demonstration is often recorded; the secrets of its callbacks should not be.
fn hide_secrets(answer: &mut serde_json::Value) {
    if let Some(secret) = answer.get_mut("secret").filter(|secret| secret.is_string()) {
        *secret = "whsec_… (shown once; hidden here)".into();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::hide_secrets;

    #[test]
    fn secrets_are_hidden_and_nothing_else_is() {
        let mut answer = json!({ "id": "1", "secret": "whsec_abc", "syncToken": "t" });
        hide_secrets(&mut answer);
        assert_eq!(answer, json!({ "id": "1", "secret": "whsec_… (shown once; hidden here)", "syncToken": "t" }));
    }
}
