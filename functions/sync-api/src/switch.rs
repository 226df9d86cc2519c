//! The switch of the periodic sync.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::Json;
use evenstock_app::{AdminAction, Clock, Queue, SyncSwitch, head_of_feed};
use evenstock_runtime::SystemClock;
use evenstock_runtime::http::{ApiError, Caller, Fields};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{Operations, OperationsStore, Shared};

/// The interval of a start that names none, in milliseconds.
const INTERVAL_DEFAULT_MS: i64 = 15_000;

/// What is switched, in the audit log.
const PERIODIC_SYNC: &str = "periodic-sync";

/// Shorter intervals are refused, longer ones too: a year.
const INTERVAL_MS: core::ops::RangeInclusive<i64> = 1_000..=31_536_000_000;

/// How often the periodic sync should run.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "this type describes; the body is read field by field")]
pub(crate) struct StartRequest {
    /// Milliseconds between two runs.
    #[schema(minimum = 1000, maximum = 31_536_000_000_i64, default = 15_000)]
    interval_ms: Option<i64>,
}

/// The switch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SwitchStatusBody {
    success: bool,
    data: SwitchStatus,
}

/// The switch, and when it lets the sync run.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SwitchStatus {
    /// Whether it is on.
    is_running: bool,
    interval_ms: i64,
    /// `null` before the first run.
    last_run_at: Option<String>,
    /// `null` while it is off.
    next_run_at: Option<String>,
    /// The newest number of the change feed.
    last_processed_event_id: u64,
}

/// What became of the switch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SwitchedBody {
    success: bool,
    message: String,
    data: Switched,
}

/// The switch as it stands now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Switched {
    is_running: bool,
    /// As the schedule keeps it.
    interval_ms: i64,
    /// As it was asked for.
    requested_interval_ms: i64,
}

/// `GET /api/sync/status`.
pub(crate) async fn status<S: OperationsStore, Q: Queue>(
    State(operations): Shared<S, Q>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<SwitchStatusBody>, ApiError> {
    let now = SystemClock.now();
    let switch = operations.store.load_switch(&caller.organization).await?;
    let head = head_of_feed(&*operations.store, &caller.organization, now).await?;
    let interval_ms = interval(&operations, &switch);
    let data = SwitchStatus {
        is_running: switch.on,
        interval_ms,
        last_run_at: switch.last_run_at.map(|time| time.to_string()),
        next_run_at: switch.next_run_at(now, interval_ms).map(|time| time.to_string()),
        last_processed_event_id: head,
    };
    Ok(Json(SwitchStatusBody { success: true, data }))
}

/// `POST /api/sync/start`.
pub(crate) async fn start<S: OperationsStore, Q: Queue>(
    State(operations): Shared<S, Q>,
    Extension(caller): Extension<Caller>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<SwitchedBody>, ApiError> {
    let asked_ms = read(&body.map_err(|_| ApiError::too_large())?)?;
    let rounded_ms = operations.settings.rounded_ms(asked_ms);
    let now = SystemClock.now();
    let about = format!("every {rounded_ms} ms");
    let (asks, action) = (caller.asks_once(now), AdminAction::SyncSwitchedOn);
    asks.write_down(&*operations.store, &caller.organization, action, PERIODIC_SYNC, about).await?;
    let switch = operations.store.set_switch(&caller.organization, true, Some(rounded_ms), now).await?;
    let message = if rounded_ms == asked_ms {
        "periodic sync is on".to_owned()
    } else {
        format!(
            "periodic sync is on; the schedule wakes every {} s, so the interval is rounded up",
            operations.settings.step_ms / 1000
        )
    };
    let data = Switched {
        is_running: switch.on,
        interval_ms: interval(&operations, &switch),
        requested_interval_ms: asked_ms,
    };
    Ok(Json(SwitchedBody { success: true, message, data }))
}

/// `POST /api/sync/stop`. What runs already runs to its end.
pub(crate) async fn stop<S: OperationsStore, Q: Queue>(
    State(operations): Shared<S, Q>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<SwitchedBody>, ApiError> {
    let now = SystemClock.now();
    let (asks, action) = (caller.asks_once(now), AdminAction::SyncSwitchedOff);
    asks.write_down(&*operations.store, &caller.organization, action, PERIODIC_SYNC, String::new()).await?;
    let switch = operations.store.set_switch(&caller.organization, false, None, now).await?;
    let interval_ms = interval(&operations, &switch);
    let data = Switched { is_running: switch.on, interval_ms, requested_interval_ms: interval_ms };
    Ok(Json(SwitchedBody { success: true, message: "periodic sync is off".to_owned(), data }))
}

fn interval<S, Q>(operations: &Operations<S, Q>, switch: &SyncSwitch) -> i64 {
    switch.interval_ms.unwrap_or_else(|| operations.settings.rounded_ms(operations.settings.interval_ms))
}

/// The interval of a body that may be missing.
fn read(body: &[u8]) -> Result<i64, ApiError> {
    if body.is_empty() {
        return Ok(INTERVAL_DEFAULT_MS);
    }
    let object: Map<String, Value> = match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err(ApiError::bad_field("body", "must be a JSON object")),
        Err(error) => return Err(ApiError::bad_field("body", format!("must be JSON: {error}"))),
    };
    let mut fields = Fields::of(&object);
    let within = |millis: i64| {
        let (least, most) = (INTERVAL_MS.start(), INTERVAL_MS.end());
        INTERVAL_MS.contains(&millis).then_some(millis).ok_or_else(|| format!("must be from {least} to {most}"))
    };
    let interval = fields.optional("intervalMs", |fields, name| fields.integer(name, within));
    let (interval, ()) = fields.finish((interval, Some(())))?;
    Ok(interval.unwrap_or(INTERVAL_DEFAULT_MS))
}
