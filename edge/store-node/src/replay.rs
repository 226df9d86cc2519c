//! Sends what waits, one after the other and in order, until the centre has decided about each.
//!
//! A repetition is harmless: the centre knows the key and answers what it answered before. So whatever is not known for
//! certain is simply sent again, also after this process was killed in the middle.

use core::time::Duration;

use serde_json::Value;
use tokio::time::sleep;
use tracing::{Instrument, error, info, info_span, warn};

use crate::cadence::{back_off, jittered};
use crate::centre::{Answer, Failure};
use crate::cli::with_causes;
use crate::database::DatabaseError;
use crate::intent::{Kept, Outcome};
use crate::node::{Node, Stop, now, permille, stopped};
use crate::wire::{About, Updated};

/// The wait after a refused key: somebody has to mend it.
const KEY_REFUSED: Duration = Duration::from_secs(30);

/// The wait after the disk failed.
const AFTER_DISK: Duration = Duration::from_secs(5);

/// Sends until the process ends.
pub(crate) async fn replay(node: &Node, mut stop: Stop) {
    let mut failures = 0;
    loop {
        let wait = tokio::select! {
            wait = step(node, &mut failures) => wait,
            () = stopped(&mut stop) => return,
        };
        let waited = async {
            match wait {
                Wait::News => node.send.notified().await,
                // The contact may come back before the wait is over.
                Wait::Retry(wait) => tokio::select! {
                    () = sleep(jittered(wait, permille())) => {}
                    () = node.send.notified() => {}
                },
                // The centre asked for it, so nothing shortens it.
                Wait::Asked(wait) => sleep(jittered(wait, permille())).await,
            }
        };
        tokio::select! {
            () = waited => {}
            () = stopped(&mut stop) => return,
        }
    }
}

enum Wait {
    News,
    Retry(Duration),
    Asked(Duration),
}

/// Sends the next intent.
async fn step(node: &Node, failures: &mut u32) -> Wait {
    match send_next(node).await {
        Ok(Sent::Nothing) => Wait::News,
        Ok(Sent::Settled) => {
            *failures = 0;
            node.status.sent();
            Wait::Retry(Duration::ZERO)
        }
        Ok(Sent::Failed(failure)) => {
            let wait = back_off(*failures, failure.retry_after());
            *failures = failures.saturating_add(1);
            if node.status.stuck(failure.to_string()) {
                warn!(%failure, "queued writes wait");
            }
            match failure {
                Failure::KeyRefused(_) => Wait::Retry(KEY_REFUSED),
                _ if failure.retry_after().is_some() => Wait::Asked(wait),
                _ => Wait::Retry(wait),
            }
        }
        Err(error) => {
            error!(cause = with_causes(&error), "the queue cannot be kept");
            node.status.stuck(with_causes(&error));
            Wait::Asked(AFTER_DISK)
        }
    }
}

enum Sent {
    Nothing,
    Settled,
    Failed(Failure),
}

async fn send_next(node: &Node) -> Result<Sent, DatabaseError> {
    if let Some(reason) = node.intents.held().await? {
        node.status.stuck(reason);
        return Ok(Sent::Nothing);
    }
    let Some(kept) = node.intents.head().await? else {
        return Ok(Sent::Nothing);
    };
    if let Some(doubt) = doubt(node).await? {
        return Ok(Sent::Failed(doubt));
    }
    let span = info_span!("ReplayEvent", position = kept.position, sku.id = kept.intent.product);
    match ask(node, &kept).instrument(span).await {
        Ok(answer) => {
            node.heard(said(&answer, node.store.as_str())).await;
            node.intents.settle(kept.position, Outcome::Done(answer.body), now()).await?;
        }
        Err(Failure::Refused(refusal)) => {
            info!(
                position = kept.position,
                sku = kept.intent.product,
                status = refusal.status,
                "a queued write was refused"
            );
            node.intents.settle(kept.position, Outcome::Refused(refusal), now()).await?;
        }
        Err(failure) => return Ok(Sent::Failed(failure)),
    }
    Ok(Sent::Settled)
}

/// Why nothing should be sent yet after an outage: the centre is still away, or it may not be the one that the writes
/// were meant for. The follower finds out which. Other troubles of the feed do not keep writes back.
async fn doubt(node: &Node) -> Result<Option<Failure>, DatabaseError> {
    let (true, Some(offset)) = (node.status.view().stale, node.cache.progress().await?.offset) else {
        return Ok(None);
    };
    Ok(match node.centre.ends_before(offset).await {
        Err(Failure::NotSent) => Some(Failure::NotSent),
        Ok(true) => {
            let reason = "the centre's feed ends before the point that this node had reached".to_owned();
            Some(Failure::Unknown { reason, retry_after: None })
        }
        Ok(false) | Err(_) => None,
    })
}

/// Asks for an intent as it was queued. When the centre knows the key with another body, the client had sent the write
/// as it was first written, by another way or before this node was killed: then that one's answer counts.
async fn ask(node: &Node, kept: &Kept) -> Result<Answer, Failure> {
    let Kept { intent, sent_version, .. } = kept;
    let request_id = uuid::Uuid::new_v4().to_string();
    let answered = node.centre.update(intent, &node.store, *sent_version, &request_id).await;
    match &answered {
        Err(Failure::Refused(refusal)) if refusal.may_be_about_the_key() && *sent_version != intent.version => {
            node.centre.update(intent, &node.store, intent.version, &request_id).await
        }
        _ => answered,
    }
}

/// What an answer says about its level. One that says nothing readable is left to the feed.
pub(crate) fn said(answer: &Answer, store: &str) -> Vec<About> {
    about(&Value::Object(answer.body.clone()), store).into_iter().collect()
}

/// What one result says about its level.
pub(crate) fn about(result: &Value, store: &str) -> Option<About> {
    let updated: Updated = serde_json::from_value(result.clone()).ok()?;
    Some(updated.into_saying(store))
}
