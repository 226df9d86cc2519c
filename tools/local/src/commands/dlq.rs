//! `dlq`: shows the dead letters of a running instance, and gives them back.

use std::io::{Write, stdout};

use clap::{Args, Subcommand};
use reqwest::Method;

use super::{Api, ApiArgs, CommandError};

/// What to do with dead letters.
#[derive(Debug, Clone, Args)]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// List a queue's dead letters, the oldest first, each with why it died.
    List {
        /// The queue, such as `stock-changes`.
        queue: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Show one whole.
    Show {
        /// The queue.
        queue: String,
        /// The message's id, from the list.
        message_id: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Give them back to their queue: all, or one.
    Redrive {
        /// The queue.
        queue: String,
        /// The message's id; without it all are given back.
        message_id: Option<String>,
        /// Have changes of stock applied that were refused because they are older than 15 days. Only after a look at the
        /// level's journal: beyond what it remembers, nobody can tell whether they were applied before.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// Prints the answer, one JSON line a letter. `false` when it was an error.
pub(crate) async fn dlq(args: &DlqArgs) -> Result<bool, CommandError> {
    let (method, path, api) = match &args.action {
        Action::List { queue, api } => (Method::GET, format!("/local/dlq/{queue}"), api),
        Action::Show { queue, message_id, api } => (Method::GET, format!("/local/dlq/{queue}/{message_id}"), api),
        Action::Redrive { queue, message_id, force, api } => {
            let which = message_id.as_ref().map(|id| format!("&messageId={id}")).unwrap_or_default();
            (Method::POST, format!("/local/dlq/{queue}/redrive?force={force}{which}"), api)
        }
    };
    let (status, answer) = Api::new(api).send(method, &path, &[], None).await?;
    let mut out = stdout().lock();
    match answer.get("items").and_then(serde_json::Value::as_array) {
        Some(letters) => letters.iter().try_for_each(|letter| writeln!(out, "{letter}"))?,
        None => writeln!(out, "{answer}")?,
    }
    Ok(status.is_success())
}
