//! Routes that only this machine has, under `/local`, with a key that may administer: what AWS has its console and its
//! command line for.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::Json;
use axum::routing::post;
use axum::{Extension, Router};
use evenstock_app::{Outgoing, Scope};
use evenstock_runtime::http::{AccessControl, ApiError, Caller, require};
use serde_json::json;

use crate::dead_letters::{logical_id, refused};
use crate::functions::TickHandler;
use crate::queue::LocalQueues;

/// All of them.
pub(crate) fn local_routes(
    queues: &LocalQueues,
    ticks: BTreeMap<String, TickHandler>,
    access: &AccessControl,
) -> Router {
    let routes = schedules(ticks).merge(produce(queues.clone())).merge(crate::dead_letters::routes(queues.clone()));
    require(routes, access, Scope::Admin)
}

/// Calls of scheduled functions out of turn: `POST /local/schedules/{function}`.
fn schedules(ticks: BTreeMap<String, TickHandler>) -> Router {
    let call = async move |Path(function): Path<String>| match ticks.get(&function) {
        None => Err(ApiError::not_found("no schedule calls a function of this name")),
        Some(tick) => match tick().await {
            Ok(report) => Ok(Json(report)),
            Err(reason) => Err(ApiError::unavailable(std::io::Error::other(reason))),
        },
    };
    Router::new().route("/local/schedules/{function}", post(call))
}

/// Messages from outside: `POST /local/queues/{queue}`, one a line.
fn produce(queues: LocalQueues) -> Router {
    let send = async move |Extension(caller): Extension<Caller>, Path(queue): Path<String>, body: String| {
        let queue = logical_id(&queue);
        let lines = body.lines().filter(|line| !line.trim().is_empty());
        let messages: Vec<_> = lines.map(|line| Outgoing::now(line.to_owned(), caller.organization.clone())).collect();
        let queued = messages.len();
        queues.send(&queue, messages).await.map_err(refused)?;
        tracing::info!(queue, queued, key.id = caller.key.id, "messages from outside");
        Ok::<_, ApiError>(Json(json!({ "queued": queued })))
    };
    Router::new().route("/local/queues/{queue}", post(send))
}
