//! `keys`: makes, lists and withdraws API keys of an instance.

use std::io::{Write, stdout};

use clap::{Args, Subcommand};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Api, ApiArgs, CommandError};

/// What to do with keys.
#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key and print it. It is shown this once.
    Create {
        /// The organization whose data it opens.
        #[arg(long, default_value = "demo")]
        organization: String,
        /// Its name, for people.
        #[arg(long)]
        name: String,
        /// What it allows.
        #[arg(long, default_value = "read,write", value_delimiter = ',')]
        scopes: Vec<String>,
        /// From when on it is refused, such as 2030-01-01T00:00:00Z.
        #[arg(long)]
        expires_at: Option<String>,
        /// Let it act for any organization.
        #[arg(long)]
        operator: bool,
    },
    /// List keys, without their secrets.
    List {
        /// Whose.
        #[arg(long, default_value = "demo")]
        organization: String,
    },
    /// Withdraw a key. It works for a minute longer at most.
    Revoke {
        /// Its id.
        id: String,
        /// Whose it is.
        #[arg(long, default_value = "demo")]
        organization: String,
    },
}

/// Prints what was answered: one JSON line for a key made or a refusal, one for each key listed. `false` for a refusal.
pub(crate) async fn keys(args: &KeysArgs) -> Result<bool, CommandError> {
    let api = Api::new(&args.api);
    match &args.action {
        Action::Create { organization, name, scopes, expires_at, operator } => {
            let mut body = json!({ "organizationId": organization, "name": name, "scopes": scopes });
            if let (Some(expires_at), Some(fields)) = (expires_at, body.as_object_mut()) {
                fields.insert("expiresAt".to_owned(), json!(expires_at));
            }
            if let (true, Some(fields)) = (operator, body.as_object_mut()) {
                fields.insert("operator".to_owned(), json!(true));
            }
            let (status, answer) = api.send(Method::POST, "/admin/keys", &[], Some(body.to_string())).await?;
            print(status, [&answer])
        }
        Action::List { organization } => list(&api, organization).await,
        Action::Revoke { id, organization } => {
            let headers = [("x-organization-id", organization.as_str())];
            let (status, answer) = api.send(Method::DELETE, &format!("/admin/keys/{id}"), &headers, None).await?;
            print(status, Some(&answer).filter(|answer| !answer.is_null()))
        }
    }
}

async fn list(api: &Api, organization: &str) -> Result<bool, CommandError> {
    let headers = [("x-organization-id", organization)];
    let mut cursor = String::new();
    loop {
        let path = format!("/admin/keys?cursor={cursor}");
        let (status, page) = api.send(Method::GET, &path, &headers, None).await?;
        let rows = page.get("items").and_then(Value::as_array);
        let Some(rows) = rows else {
            return print(status, [&page]);
        };
        print(status, rows)?;
        match page.get("nextCursor").and_then(Value::as_str) {
            None | Some("") => return Ok(status.is_success()),
            Some(next) => next.clone_into(&mut cursor),
        }
    }
}

fn print<'a>(status: StatusCode, rows: impl IntoIterator<Item = &'a Value>) -> Result<bool, CommandError> {
    let mut out = stdout().lock();
    for row in rows {
        writeln!(out, "{row}")?;
    }
    Ok(status.is_success())
}
