//! The endpoint flow of document 2: a store is registered, receipts are imported, callbacks are registered; each step
//! carries what the ones before it answered.

use clap::Args;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Api, CommandError};

/// The names that the flow uses.
#[derive(Debug, Clone, Args)]
pub(crate) struct FlowArgs {
    /// The organization.
    #[arg(long, env = "ORG_ID", default_value = "org-1")]
    pub(crate) organization: String,
    /// The marketplace.
    #[arg(long, env = "MARKETPLACE", default_value = "etsy")]
    pub(crate) marketplace: String,
    /// The store's name at the marketplace.
    #[arg(long, env = "EXTERNAL_STORE_ID", default_value = "ext-100")]
    pub(crate) external_store_id: String,
    /// The store's name for people.
    #[arg(long, env = "STORE_NAME", default_value = "My Etsy Store")]
    pub(crate) store_name: String,
    /// The store's token at the marketplace.
    #[arg(long, env = "ACCESS_TOKEN", default_value = "token-v2", hide_env_values = true)]
    pub(crate) access_token: String,
    /// The currency of its orders.
    #[arg(long, env = "CURRENCY", default_value = "USD")]
    pub(crate) currency: String,
    /// Where callbacks go.
    #[arg(long, env = "WEBHOOK_URL", default_value = "http://127.0.0.1:4000/webhook")]
    pub(crate) webhook_url: String,
    /// The receipts to import.
    #[arg(long, env = "RECEIPTS", default_value = "order-101,order-102,order-115", value_delimiter = ',')]
    pub(crate) receipts: Vec<String>,
}

/// A call of the flow and its answer.
#[derive(Debug)]
pub(crate) struct Step {
    /// What was asked, such as `POST /stores/register`.
    pub(crate) call: String,
    /// What it was about, such as a receipt.
    pub(crate) about: String,
    /// The answer's status.
    pub(crate) status: StatusCode,
    /// The answer.
    pub(crate) answer: Value,
}

/// Runs the flow and hands each step to `seen`; it ends early when registration gives no token to go on with.
pub(crate) async fn flow(api: &Api, args: &FlowArgs, mut seen: impl FnMut(&Step)) -> Result<Vec<Step>, CommandError> {
    let mut steps = Vec::new();
    let mut take = async |method: Method, path: &str, about: &str, body: Option<Value>| {
        let call = format!("{method} {}", path.split('?').next().unwrap_or(path));
        let (status, answer) = api.send(method, path, &[], body.map(|body| body.to_string())).await?;
        let step = Step { call, about: about.to_owned(), status, answer: answer.clone() };
        seen(&step);
        steps.push(step);
        Ok::<_, CommandError>(answer)
    };
    let organization = args.organization.as_str();
    let store = json!({
        "organizationId": organization,
        "marketplace": args.marketplace,
        "externalStoreId": args.external_store_id,
        "storeName": args.store_name,
        "accessToken": args.access_token,
        "currency": args.currency,
    });
    let registered = take(Method::POST, "/stores/register", &args.external_store_id, Some(store)).await?;
    if let Some(token) = registered.get("syncToken").and_then(Value::as_str) {
        for receipt in &args.receipts {
            let import = json!({ "syncToken": token, "receipt": receipt });
            take(Method::POST, "/orders/import", receipt, Some(import)).await?;
        }
        take(Method::GET, &format!("/stores/sync-status?syncToken={token}"), &args.external_store_id, None).await?;
        for event in ["sync.started", "sync.completed", "sync.failed"] {
            let endpoint = json!({ "organizationId": organization, "event": event, "targetUrl": args.webhook_url });
            take(Method::POST, "/webhooks/register", event, Some(endpoint)).await?;
        }
        take(Method::GET, &format!("/webhooks?organizationId={}", encoded(organization)), organization, None).await?;
    }
    Ok(steps)
}

/// A value of a query.
fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let encode = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn query_values_are_encoded_whatever_they_hold() {
        assert_eq!(encoded("org-1"), "org-1");
        assert_eq!(encoded("a&b=ü %"), "a%26b%3D%C3%BC%20%25");
    }
}
