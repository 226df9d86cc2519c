//! What follows from a write of a receipt or a store, as its stream record tells of it: stock moves, subscribers hear.
//!
//! Pure: the same record gives the same consequences under the same names, however often the stream brings it.

use evenstock_domain::{Line, Receipt, StoreId, SyncRun, SyncRunState, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{MarketplaceStore, order_row};
use crate::{Announcement, ChangeBody, EventType, StockChange};

/// What follows from a write.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Consequences {
    /// Facts, for `stock-changes`.
    pub changes: Vec<StockChange>,
    /// What subscribers are told.
    pub announcements: Vec<Announcement>,
}

/// What follows from a write of a receipt: an order's units leave, a cancelled order's units come back.
pub fn receipt_consequences(old: Option<&Receipt>, new: &Receipt) -> Consequences {
    let mut consequences = Consequences::default();
    let is_new = new.order().is_some() && old.and_then(Receipt::order).is_none();
    if is_new {
        if let Some((time, lines)) = new.taken() {
            let taken = facts(new, time, lines, |place, line| (new.line_event(place), -line.units));
            consequences.changes.extend(taken);
        }
        let time = new.answered_at.unwrap_or(new.created_at);
        consequences.announcements.push(about(new, EventType::OrderImported, time));
    }
    if let Some((time, lines)) = new.returned()
        && old.and_then(Receipt::returned).is_none()
    {
        let returned = facts(new, time, lines, |place, line| (new.cancel_event(place), line.units));
        consequences.changes.extend(returned);
    }
    if new.short && old.is_none_or(|old| !old.short) {
        let time = new.answered_at.unwrap_or(new.created_at);
        consequences.announcements.push(about(new, EventType::OrderShort, time));
    }
    consequences
}

fn facts<'a>(
    receipt: &'a Receipt,
    time: Timestamp,
    lines: &'a [Line],
    says: impl Fn(usize, &Line) -> (String, i64) + 'a,
) -> impl Iterator<Item = StockChange> + 'a {
    lines.iter().enumerate().map(move |(place, line)| {
        let (event_id, delta) = says(place, line);
        StockChange {
            event_id,
            organization: receipt.organization.to_string(),
            sku: line.sku.to_string(),
            location: line.location.to_string(),
            source: receipt.source(),
            // The order's time, not the delivery's: however late the fact arrives, it says the same.
            time: time.to_string(),
            job_id: format!("{}/{}", receipt.store, receipt.id),
            change: ChangeBody::Delta { delta },
        }
    })
}

fn about(receipt: &Receipt, event: EventType, time: Timestamp) -> Announcement {
    Announcement {
        event_id: event_id(&receipt.store, receipt.id.as_str(), event),
        event,
        time,
        organization: receipt.organization.clone(),
        store: Some(receipt.store.clone()),
        data: order_row(receipt),
    }
}

/// What subscribers are told of a write of a store: its runs begin and end.
pub fn store_announcements(old: Option<&MarketplaceStore>, new: &MarketplaceStore) -> Vec<Announcement> {
    let Some(run) = &new.sync.run else {
        return Vec::new();
    };
    let before = old.and_then(|old| old.sync.run.as_ref()).filter(|before| before.id == run.id);
    let mut announcements = Vec::new();
    if before.is_none() {
        announcements.push(of_run(new, run, EventType::SyncStarted, run.started_at));
    }
    let ended = match run.state {
        SyncRunState::Started => None,
        SyncRunState::Completed => Some(EventType::SyncCompleted),
        SyncRunState::Failed => Some(EventType::SyncFailed),
    };
    if let Some(event) = ended
        && before.is_none_or(|before| before.state == SyncRunState::Started)
    {
        announcements.push(of_run(new, run, event, run.ended_at.unwrap_or(run.started_at)));
    }
    announcements
}

fn of_run(store: &MarketplaceStore, run: &SyncRun, event: EventType, time: Timestamp) -> Announcement {
    let counters = run.counters;
    Announcement {
        event_id: event_id(&store.id, &run.id, event),
        event,
        time,
        organization: store.organization.clone(),
        store: Some(store.id.clone()),
        data: json!({
            "runId": run.id,
            "startedAt": run.started_at.to_string(),
            "endedAt": run.ended_at.map(|ended_at| ended_at.to_string()),
            "processedCount": counters.processed,
            "successCount": counters.success,
            "failedCount": counters.failed,
            "rateLimitedCount": counters.rate_limited,
        }),
    }
}

/// Names an event by what it is about, whatever characters that has.
fn event_id(store: &StoreId, subject: &str, event: EventType) -> String {
    let parts = [event.as_str(), store.as_str(), subject];
    // Names hold no control characters, so no two lists of parts hash the same bytes.
    let digest = Sha256::digest(parts.join("\0"));
    format!("evt_{}", hex::encode(digest.get(..16).unwrap_or_default()))
}
